"""A flash image as it leaves the factory: interpreter and files, nobody's identity."""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.model.kept import written_to
from buoyfleet.simulation.buses.chip import PWRON_RESET
from buoyfleet.simulation.esp32.boot import boot
from buoyfleet.simulation.esp32.child import REPL
from buoyfleet.simulation.esp32.efuse import ESP32
from buoyfleet.simulation.esp32.flash_image import FlashImage
from buoyfleet.simulation.esp32.image import Partition
from buoyfleet.simulation.esp32.interpreter import interpreter
from buoyfleet.simulation.esp32.synthetic import synthetic_image

INSTALL_TIMEOUT_S = 60.0
_MODULES = ("install.py", "partition.py")


def factory_image(files: dict[str, bytes], cache: Path) -> Path:
    """The image of a board that has these files, made by MicroPython itself and kept for the next time.

    Args:
        files: path on the board → content.
        cache: folder of images, each named by the hash of what is in it.

    Raises:
        PreflightError: no MicroPython, or it cannot make the file system.
    """
    image = synthetic_image()
    digest = hashlib.sha256(image)
    for name in _MODULES:
        digest.update((REPL / name).read_bytes())
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    kept = cache / f"{digest.hexdigest()}.bin"
    if kept.exists():
        return kept
    with written_to(cache), tempfile.TemporaryDirectory(dir=cache) as folder:
        flash = FlashImage(Path(folder) / "flash.bin")
        flash.write(ESP32.boot_loader, image)
        place = boot(flash, PWRON_RESET).files
        assert place is not None, "the synthetic image does not boot"
        flash.close()
        content = Path(folder) / "files"
        content.mkdir()
        for name, data in files.items():
            path = content / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        _install(flash.path, place, content)
        os.replace(flash.path, kept)  # when whole: others may be making the same one
    return kept


def _install(flash: Path, place: Partition, content: Path) -> None:
    command = [interpreter(), REPL / "install.py", flash, place.offset, place.size, content]
    try:
        done = subprocess.run(
            [str(item) for item in command], capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise PreflightError(f"the factory image was not made within {INSTALL_TIMEOUT_S:g} s") from error
    if done.returncode:
        raise PreflightError(f"MicroPython could not make the factory image:\n{done.stdout}{done.stderr}")
