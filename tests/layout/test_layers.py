"""The layout test sees what it must see."""

from pathlib import Path

from layers import circles, imports_of, module_name


def imports(tmp_path: Path, name: str, source: str) -> dict[str, bool]:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return {found.imported: found.at_load for found in imports_of(file, tmp_path)}


def test_imports_in_functions_and_for_types_are_seen_too(tmp_path):
    source = """
from typing import TYPE_CHECKING
import buoyfleet.model.result
if TYPE_CHECKING:
    from buoyfleet.cli import main
def late():
    from buoyfleet.verify import sql
"""
    found = imports(tmp_path, "host/buoyfleet/runs/a.py", source)
    assert found == {
        "buoyfleet.model.result": True,
        "buoyfleet.cli.main": False,
        "buoyfleet.verify.sql": False,
    }


def test_relative_imports_are_resolved(tmp_path):
    assert imports(tmp_path, "host/buoyfleet/runs/a.py", "from ..verify import sql\nfrom . import b\n") == {
        "buoyfleet.verify.sql": True,
        "buoyfleet.runs.b": True,
    }
    assert imports(tmp_path, "host/buoyfleet/runs/__init__.py", "from .b import c\n") == {
        "buoyfleet.runs.b.c": True
    }


def test_firmware_is_named_as_on_a_board(tmp_path):
    assert module_name(tmp_path / "firmware/buoy/link.py", tmp_path) == "buoy.link"
    assert module_name(tmp_path / "firmware/main.py", tmp_path) == "main"


def test_circles_are_found_and_chains_are_not():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}}) == []
