"""The simulated modules of one board in this process: what its drivers get where a board has `import`.

modules = Modules(bench)
machine = modules("machine")         # Pin, ADC, UART, … of that board alone
"""

from types import ModuleType
from typing import Any

from buoyfleet.simulation.buses.bench import Bench
from buoyfleet.simulation.buses.shims import ds18x20, esp32, machine, network, onewire, simulated_time

_MODULES: dict[str, ModuleType] = {
    "machine": machine,
    "esp32": esp32,
    "onewire": onewire,
    "ds18x20": ds18x20,
    "network": network,
    "time": simulated_time,
}
SINCE: dict[str, tuple[int, int]] = {"Counter": (1, 26), "PCNT": (1, 26)}
"""MicroPython version since which a name exists on the ESP32 (of those that drivers must do without)."""


class Wired:
    """A class or function of a simulated module with its board filled in; constants pass through."""

    __slots__ = ("_bench", "_thing")

    def __init__(self, thing: Any, bench: Bench) -> None:
        self._thing = thing
        self._bench = bench

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._thing(*arguments, wire=self._bench, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._thing, name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._thing)


class SimulatedModule:
    """A module of one board."""

    __slots__ = ("_bench", "_module", "_version")

    def __init__(self, module: ModuleType, bench: Bench, version: tuple[int, int]) -> None:
        self._module = module
        self._bench = bench
        self._version = version

    def __getattr__(self, name: str) -> Any:
        if self._version < SINCE.get(name, (0, 0)):
            raise AttributeError(f"module {self._module.__name__!r} has no attribute {name!r}")
        thing = getattr(self._module, name)
        return Wired(thing, self._bench) if name in self._module.WIRED else thing


class Modules:
    """Gives the simulated modules of one board by name, as `__import__` gives a board's.

    Args:
        bench: the board's.
        version: of the MicroPython that is simulated: before 1.26 there is no Counter and no PCNT.
    """

    __slots__ = ("_bench", "_version")

    def __init__(self, bench: Bench, version: tuple[int, int] = (1, 26)) -> None:
        self._bench = bench
        self._version = version

    def __call__(self, name: str) -> SimulatedModule:
        """The module.

        Raises:
            ImportError: not simulated; says what is.
        """
        module = _MODULES.get(name)
        if module is None:
            raise ImportError(f"no simulated module named {name!r}; there are {', '.join(_MODULES)}")
        return SimulatedModule(module, self._bench, self._version)
