"""Nine sensors: drivers, calibration, on-board fakes; MicroPython and CPython."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])


def seldom(function: "Function") -> "Function":
    """Marks a function that a board runs seldom: what is installed loads its code for each call.

    That takes some 10 ms, and the rest of the time its memory is free. See buoyfleet.boards.shrink.seldom.
    """
    return function


def once(function: "Function") -> "Function":
    """Marks a function that a board runs at its start, or once for each object; else as `seldom`."""
    return function


def forget(*names: str) -> None:
    """Take modules of `sensors` out of a board's memory; whoever needs one imports it again.

    Does nothing on CPython, where memory is no matter and others hold the same modules.
    """
    import sys

    if sys.implementation.name != "micropython":
        return
    package = sys.modules["sensors"]
    for name in names:
        if sys.modules.pop("sensors." + name, None) is not None and hasattr(package, name):
            delattr(package, name)
