"""A folder of fetched programs that cannot be written is named, whatever needed it."""

import sys
from pathlib import Path

import pytest

from buoyfleet.boards.firmware_files import installed_firmware
from buoyfleet.model.errors import PreflightError
from buoyfleet.programs.set_up import set_up
from buoyfleet.simulation.esp32.factory import factory_image


def fetch(folder):
    return set_up((), folder, Path(sys.executable), print)


@pytest.mark.parametrize(
    "use",
    [fetch, installed_firmware, lambda folder: factory_image({}, folder)],
    ids=["setup", "firmware", "image"],
)
def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(use, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PreflightError) as caught:
        use(tmp_path / "file" / "kept")
    assert caught.value.where == str(tmp_path / "file" / "kept")
    assert "XDG_DATA_HOME" in caught.value.next_step
