"""Settings of a driver: its defaults with what the board's settings give, mistakes refused by name."""


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
        if isinstance(default, bool) or isinstance(value, bool):
            fits = isinstance(default, bool) and isinstance(value, bool)
        elif isinstance(default, float):
            fits = isinstance(value, (int, float))
        elif default is None:
            fits = True
        elif isinstance(default, tuple):
            fits = isinstance(value, (tuple, list))
        else:
            fits = isinstance(value, type(default))
        if not fits:
            raise SettingsError("setting %s of %s is %r; it must be like %r" % (name, key, value, default))
        result[name] = value
    return result
