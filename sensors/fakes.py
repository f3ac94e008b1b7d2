"""On-board sources of values for buoys without probes: counter, walk and constant.

A fake has the interface of a driver (sensors/driver.py) and `sample(n)` besides, the short way: the value
of message n at once, without `start` and `poll`. Values have at most two decimals, so that single and
double precision print the same text.

counter   round(2 * base + n, 2), the pattern of the original stress test; the boolean is n mod 2 == 1
walk      a seeded walk about a home value inside the plausible band; the same on every interpreter
constant  one value
"""

from sensors.catalog import BOOLEAN_KEYS, KEYS, unit_of
from sensors.rows import column

# Normal bands of the river in hundredths of the published unit; a walk keeps within them.
WALK_BANDS: "dict[str, tuple[int, int]]" = column("walk")


class Fake:
    """What the fakes share. `value` is that of the last reading started, None before the first."""

    __slots__ = ("_next", "key", "value")

    needs_temperature = offers_temperature = False
    flags = 0
    note = ""
    due_ms = 0

    def __init__(self, key: str) -> None:
        self.key = key
        self.value: float | bool | None = None
        self._next = 0

    @property
    def unit(self) -> str:
        return unit_of(self.key)

    @property
    def raw(self) -> float | bool | None:
        return self.value

    def start(self, _now_ms: float) -> None:
        """Take the next value."""
        self.value = self.sample(self._next)
        self._next += 1

    def poll(self, _now_ms: float) -> bool:
        """A fake is always done."""
        return True

    def sample(self, n: int) -> float | bool:
        """The value of message n, counted from 0."""
        raise NotImplementedError


class Counter(Fake):
    """round(2 * base + n, 2)."""

    __slots__ = ("_double",)

    def __init__(self, key: str, base: float) -> None:
        super().__init__(key)
        self._double = 2.0 * base

    def sample(self, n: int) -> float:
        return round(self._double + n, 2)


class HundredthsCounter(Fake):
    """The same for a base of few decimals, eight times as fast: whole numbers need no rounding."""

    __slots__ = ("_hundredths",)

    def __init__(self, key: str, base: float) -> None:
        super().__init__(key)
        self._hundredths = round(200 * base)

    def sample(self, n: int) -> float:
        return (self._hundredths + 100 * n) / 100


class BooleanCounter(Fake):
    """False, True, False, …"""

    __slots__ = ()

    def sample(self, n: int) -> bool:
        return n % 2 == 1


class Constant(Fake):
    """Always the same."""

    __slots__ = ("_constant",)

    def __init__(self, key: str, constant: float | bool) -> None:
        super().__init__(key)
        self._constant = constant

    def sample(self, _n: int) -> float | bool:
        return self._constant


class Walk(Fake):
    """A mean-reverting walk; every call of `sample` is one step, whatever its argument.

    All state is small integers (under 2^30, which a 32-bit board keeps without allocating). The position is
    in 2^-15 of the band; a step is uniform in ±1/256 of the band and pulls back to the home by 1/1024 of the
    distance, which makes a standard deviation of about 5 % of the band over 1000 steps.
    """

    __slots__ = ("_home", "_increment", "_low", "_position", "_span", "_state")

    def __init__(self, key: str, seed: int) -> None:
        super().__init__(key)
        self._low, high = WALK_BANDS[key]
        self._span = high - self._low
        # Neighbouring seeds and keys must not walk alike: mix before use, each with its own increment.
        mixed = (seed * 40503 + KEYS.index(key) * 7919 + 12345) & 0x3FFFFF
        for _ in range(4):
            mixed = (mixed * 69069 + 1) & 0x3FFFFF
            mixed ^= mixed >> 9
        self._increment = (mixed & 0xFFFFF) | 1
        self._state = (mixed * 5 + 777) & 0xFFFFF
        self._home = self._position = 8192 + (mixed >> 8)  # in the middle half of the band

    def sample(self, _n: int) -> float:
        # A full-period linear congruential generator modulo 2^20 (Hull and Dobell: odd increment, multiplier
        # 1 mod 4); its upper bits are the random ones.
        state = self._state = (self._state * 1021 + self._increment) & 0xFFFFF
        position = self._position
        position += (state >> 12) - 128 - ((position - self._home) >> 10)
        if not 0 <= position <= 32767:
            position = self._home
        self._position = position
        return (self._low + (position * self._span >> 15)) / 100


def make_fake(key: str, mode: str, base: float = 0.0, value: float | bool = 0.0, seed: int = 1) -> Fake:
    """The fake of one measure.

    Args:
        key: one of `sensors.catalog.KEYS`.
        mode: `counter` (uses `base`), `walk` (uses `seed`) or `constant` (uses `value`).
        base: in the published unit.
        value: in the published unit; a boolean for `liqlev`.
        seed: any integer; the same seed, key and mode give the same values.

    Raises:
        ValueError: unknown key or mode.
    """
    if key not in KEYS:
        raise ValueError("unknown sensor %r; one of %s" % (key, ", ".join(KEYS)))
    boolean = key in BOOLEAN_KEYS
    if mode == "counter":
        if boolean:
            return BooleanCounter(key)
        return (HundredthsCounter if round(200 * base) / 100 == 2.0 * base else Counter)(key, base)
    if mode == "constant":
        return Constant(key, bool(value) if boolean else float(value))
    if mode == "walk":
        # A floating buoy is wet in every normal state.
        return Constant(key, True) if boolean else Walk(key, seed)
    raise ValueError("unknown mode %r of a fake; counter, walk or constant" % (mode,))
