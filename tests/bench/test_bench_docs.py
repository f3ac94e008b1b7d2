"""docs/bench.md says what is: the wiring is that of the pin map, and every command exists."""

import re

from buoyfleet.bench.plan import STEPS
from buoyfleet.cli.simulate import FIRST_ID, IMAGE
from buoyfleet.cli.table import COMMANDS
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.board_names import mac_text
from buoyfleet.simulation.buses.chip import ESPRESSIF_OUI
from buoyfleet.simulation.parts.radio import ACCESS_POINT, PASSWORD
from sensors import pins
from sensors.parts import PARTS


def test_the_wiring_table_is_the_pin_map(project_root):
    text = (project_root / "docs" / "bench.md").read_text()
    table = text[text.index("## 1.") : text.index("## 2.")]
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    assert {name: int(gpio) for name, gpio, _, _ in rows} == pins.DEFAULT
    parts = {name: (part.name, part.bus) for part in PARTS for name in part.pin_names}
    assert {name: (part, bus) for name, _, part, bus in rows if name in parts} == parts


def test_every_command_and_step_that_the_page_names_exists(project_root):
    text = (project_root / "docs" / "bench.md").read_text()
    named = set(re.findall(r"`buoy (\w+)", text)) | set(re.findall(r"^    buoy (\w+)", text, re.MULTILINE))
    assert named <= set(COMMANDS)
    for step in STEPS:
        assert re.search(rf"^\|.*\b{step}\b", text, re.MULTILINE), step


def test_the_fleet_file_to_try_it_with_is_right_and_names_the_boards_that_simulate_starts(
    project_root, tmp_path
):
    text = (project_root / "docs" / "bench.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.+?)^```", text, re.MULTILINE | re.DOTALL)
    path = tmp_path / "boards.yaml"
    path.write_text(example)
    fleet = load_fleet(path)
    folder = re.search(r"--folder (\w+)", text)[1]
    assert fleet.bench.interpreter == str(tmp_path / folder / IMAGE)
    assert fleet.bench.ports == (str(tmp_path / folder / "ports/*"),)
    macs = [f"mac:{mac_text((ESPRESSIF_OUI + (FIRST_ID + number).to_bytes(3)).hex())}" for number in range(3)]
    assert [board.port for board in fleet.boards] == macs
    password = re.search(r"export WIFI_PASSWORD=(\w+)", text)[1]
    assert (fleet.boards[0].wifi.ssid, password) == (ACCESS_POINT, PASSWORD)
