"""What the firmware takes of an ESP32's Python heap: the same program on words of 64 and of 32 bit.

The 32-bit interpreter is that of Debian's i386 packages, which a 64-bit PC runs; it is fetched once.
"""

import sys
import tempfile
from pathlib import Path

from _bench import ROOT

sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "esp32")]

from console import SetupError  # noqa: E402
from heap_figures import measure  # noqa: E402
from programs import MICROPYTHON, ensure_of_architecture  # noqa: E402

HEAP = "400k"  # more than an ESP32 has: the simulation's own modules lie in it too


def main() -> None:
    """Print both, and their ratio."""
    try:
        small = ensure_of_architecture(MICROPYTHON, "i386", ROOT / ".tools")
    except SetupError as error:
        sys.exit(f"no 32-bit MicroPython runs here (it needs a PC with Debian or Ubuntu): {error}")
    with tempfile.TemporaryDirectory() as folder:
        wide = measure(Path(folder) / "64", 8)
        narrow = measure(Path(folder) / "32", 4, small, HEAP)
    for name in wide:
        of_64, of_32 = wide[name].heap_bytes / 1024, narrow[name].heap_bytes / 1024
        ratio = of_32 / of_64
        print(f"nine {name:7}  {of_32:5.1f} KB on 32-bit words   {of_64:5.1f} KB on 64   ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
