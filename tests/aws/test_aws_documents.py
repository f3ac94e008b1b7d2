"""docs/cloud.md says what the program does."""

import re
from pathlib import Path

import pytest
from run_bench import ROOT

from buoyfleet.cli.main import invoke
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.exit_codes import ExitCode

TEXT = (ROOT / "docs" / "cloud.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
WHOLE = next(block for block in BLOCKS if block.startswith("fleet:"))


def test_the_fleet_file_of_the_page_is_a_fleet_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(WHOLE)
    fleet = load_fleet(path)
    assert fleet.target.aws is not None
    assert (fleet.topic_prefix, fleet.boards[0].thing_name) == ("buoytest/0", "buoytest-100")


def test_the_other_target_of_the_page_goes_into_it(tmp_path: Path) -> None:
    other = next(block for block in BLOCKS if block.startswith("target:"))
    whole = re.sub(r"target:\n(?:  .*\n)+", other, WHOLE)
    path = tmp_path / "fleet.yaml"
    path.write_text(whole.replace("….", "db."))
    spec = load_fleet(path).target.aws
    assert spec is not None
    assert spec.influxdb is not None


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^buoy (cloud [a-z]+)", TEXT, re.MULTILINE))))
def test_the_commands_of_the_page_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([*command.split(), "--help"]) == ExitCode.OK
    assert "Examples" in capsys.readouterr().out
