"""What the set-up of a checkout says."""

import sys

from buoyfleet.model.errors import BuoyError


def say(text: str) -> None:
    """One line of progress."""
    print(f"set-up: {text}", flush=True)


def fail(error: BuoyError) -> int:
    """Print what went wrong; returns the exit code of a failed set-up."""
    print(f"set-up failed: {error}", file=sys.stderr, flush=True)
    return int(error.exit_code)
