"""Where files are that belong to no run: what comes with the package, and what is fetched or made once."""

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]
_IN_WHEEL = _PACKAGE / "files"

INSTALLED = _IN_WHEEL.is_dir()
"""From a wheel, without a checkout around it."""
FILES = _IN_WHEEL if INSTALLED else _CHECKOUT
"""Holds `firmware/`, `sensors/`, `docs/`, `scenarios/` and the default `boards.yaml`."""


def _kept() -> Path:
    if not INSTALLED:
        return _CHECKOUT / ".tools"
    from platformdirs import user_data_path

    return user_data_path("buoyfleet")


SETUP = "buoy setup" if INSTALLED else "make setup"
"""The command that fetches what only the system can give."""
REINSTALL = f"{sys.executable} -m pip install --force-reinstall buoyfleet" if INSTALLED else "make setup"
"""The command that mends a broken Python package."""
WEB_INSTALL = (
    f"{sys.executable} -m pip install 'buoyfleet[web]'"
    if INSTALLED
    else f"{sys.executable} -m pip install -c constraints.txt -e '.[web]'"
)
"""The command that adds what `buoy web` needs."""
KEPT = _kept()
"""Programs that were fetched and files that were made once: in a checkout its own, else the user's."""
FACTORY = KEPT / "factory"
"""File systems of boards as they come from the factory (buoyfleet.simulation.esp32.factory)."""
COMPILED = KEPT / "compiled"
"""Programs of boards by their hash (buoyfleet.boards.firmware_files)."""
