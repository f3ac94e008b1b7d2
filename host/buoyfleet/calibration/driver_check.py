"""What a driver would say to settings, asked before they are written: the driver's own checks, on
this computer.
"""

from typing import Any

from sensors.build import make_driver
from sensors.settings import SettingsError


class _Anything:
    """A module of a board that takes whatever a driver does while it is made."""

    Counter = None

    def __getattr__(self, _name: str) -> Any:
        return self

    def __call__(self, *_arguments: Any, **_named: Any) -> Any:
        return self


def driver_refuses(key: str, settings: dict[str, object]) -> str:
    """Why the driver of a sensor would not take these settings; empty if it would."""
    own = {name: value for name, value in settings.items() if name != "mode" and value is not None}
    try:
        make_driver(key, own, lambda _name: _Anything())
    except SettingsError as error:
        return str(error)
    return ""
