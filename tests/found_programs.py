"""Where the programs are that tests start."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Debian keeps daemons where the PATH of a plain user does not look.
DAEMON_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


def find_program(name: str) -> Path:
    """A program as `make test` fetched it, else as found in PATH; a missing one fails the test."""
    fetched = ROOT / ".tools" / "bin" / name
    if fetched.exists():
        return fetched
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *DAEMON_FOLDERS]))
    if found is None:
        pytest.fail(f"{name} is missing; `make setup-test` fetches it or says what to install", pytrace=False)
    return Path(found)
