"""The folder of a run: `<out>/<time>-<fleet>/`, never one that is there already."""

import re
import time
from pathlib import Path

from buoyfleet.model.errors import UsageError

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def make_run_folder(out: Path, fleet_name: str) -> Path:
    """Create the folder; two runs of one second get different names.

    Raises:
        UsageError: it cannot be made.
    """
    base = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{_UNSAFE.sub('-', fleet_name)}"
    for attempt in range(100):
        folder = out / (base if attempt == 0 else f"{base}-{attempt + 1}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(
                f"the run's folder cannot be made: {error.strerror}",
                where=str(folder),
                next_step="give another place with --out",
            ) from None
        return folder
    raise UsageError(f"a hundred runs named {base}", where=str(out), next_step="wait a second")
