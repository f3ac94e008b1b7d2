"""docs/bench.md says what is: the wiring is that of the pin map, and every command exists."""

import re

from host.bench.plan import STEPS
from host.cli.main import app
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
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    named = set(re.findall(r"`buoy (\w+)", text)) | set(re.findall(r"^    buoy (\w+)", text, re.MULTILINE))
    assert named <= commands
    for step in STEPS:
        assert re.search(rf"^\|.*\b{step}\b", text, re.MULTILINE), step
