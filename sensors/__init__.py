"""Nine sensors: drivers, calibration, on-board fakes; MicroPython and CPython."""


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
