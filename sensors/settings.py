"""Settings of a driver: its defaults with what the board's settings give, mistakes refused by name."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


LARGEST = 1e9  # of any number in settings: neither infinity nor more than a board's float can work with


class SettingsError(ValueError):
    """A setting of a sensor that is unknown or of the wrong type; says which and what is allowed."""


def merged(key: str, defaults: "dict[str, object]", given: "dict[str, object]") -> "dict[str, object]":
    """`defaults` overlaid with `given`.

    A setting takes the type of its default: whole numbers pass for floats, None means `not set` and is
    allowed where the default is None.

    Raises:
        SettingsError: unknown name, or wrong type.
    """
    result = dict(defaults)
    for name in given:
        if name not in defaults:
            raise SettingsError("%s has no setting %r; it has %s" % (key, name, ", ".join(sorted(defaults))))
        value = given[name]
        default = defaults[name]
        if default is None:
            fits = True
        elif isinstance(default, bool) or isinstance(value, bool):
            fits = isinstance(default, bool) and isinstance(value, bool)
        elif isinstance(default, float):
            fits = isinstance(value, (int, float))
        elif isinstance(default, tuple):
            fits = isinstance(value, (tuple, list))
        else:
            fits = isinstance(value, type(default))
        if not fits:
            raise SettingsError("setting %s of %s is %r; it must be like %r" % (name, key, value, default))
        result[name] = value
    return result


def check_number(key: str, name: str, number: "Any", low: float, high: float) -> None:
    """Refuse a number that no working part has; None (not set) passes.

    Raises:
        SettingsError: no number, or not from low to high.
    """
    if number is None:
        return
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not low <= number <= high:
        raise SettingsError("%s of %s is %r; from %g to %g" % (name, key, number, low, high))


def check_choice(key: str, name: str, text: str, allowed: "tuple[str, ...]") -> str:
    """`text` if it is one of `allowed`.

    Raises:
        SettingsError: it is not.
    """
    if text not in allowed:
        raise SettingsError("%s of %s is %r; one of %s" % (name, key, text, ", ".join(allowed)))
    return text


def coefficients(key: str, given: "Any") -> "tuple[float, ...] | None":
    """Coefficients of a correction as floats; None if not set.

    Raises:
        SettingsError: no list of numbers.
    """
    if given is None:
        return None
    if not isinstance(given, (tuple, list)) or not given:
        raise SettingsError("correction of %s is %r; a list of coefficients" % (key, given))
    for coefficient in given:
        if coefficient is None:
            raise SettingsError("correction of %s has %r; numbers only" % (key, coefficient))
        check_number(key, "coefficient", coefficient, -LARGEST, LARGEST)
    return tuple([float(coefficient) for coefficient in given])


def limits(key: str, given: "Any") -> "tuple[float, float] | None":
    """Limits as (low, high); None if not set.

    Raises:
        SettingsError: no pair, or the wrong way round.
    """
    if given is None:
        return None
    if not isinstance(given, (tuple, list)) or len(given) != 2 or None in given:
        raise SettingsError("limits of %s are %r; (low, high)" % (key, given))
    for limit in given:
        check_number(key, "limit", limit, -LARGEST, LARGEST)
    if not given[0] < given[1]:
        raise SettingsError("limits of %s are %r; (low, high)" % (key, given))
    return float(given[0]), float(given[1])
