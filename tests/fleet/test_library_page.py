"""The examples of docs/library.md do what the page says, and the public API is what it lists."""

import ast
import json

import pytest
from library_page import ON_BOARDS, PAGE, examples

import buoyfleet
from buoyfleet.cloud.target import Stakes


def test_the_examples_run_one_after_another(project_root, tmp_path, monkeypatch, capsys):
    fleet = {
        "fleet": "small",
        "target": "local",
        "run": {"messages": 3, "rate": "10/s", "late_send": "1 min"},
    }
    fleet["boards"] = [{"kind": "virtual", "ids": "100-102"}]
    (tmp_path / "boards.yaml").write_text(json.dumps(fleet))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed = {}
    for heading, text in examples(project_root).items():
        if heading not in ON_BOARDS:
            exec(compile(text, PAGE, "exec"), names)
            printed[heading] = capsys.readouterr().out
    run = printed["Run a fleet and look at the verdict"]
    assert "timestream: 81 of 81 measures" in run
    assert "s3: 81 of 81 measures" in run
    (folder,) = (tmp_path / "results").iterdir()
    stores = json.loads((folder / "result.json").read_text())["stores"]
    assert [store["expected"] for store in stores] == [90, 90]
    assert "send 9 of 9" in printed["Show what happens"]
    assert "are verified" in printed["Verify again"]
    assert "s3.found 81 81 1.0" in printed["Compare two runs"]
    checks = printed["Check before a run"].splitlines()
    assert {line.split()[0] for line in checks} == {"ok"}
    assert printed["A simulated ESP32"].strip().endswith("buoy-128")
    assert printed["Look after a board"].splitlines()[-1].startswith("MicroPython")


def test_a_run_of_an_account_is_not_begun_without_a_yes():
    stakes = Stakes(("1,000 messages, 0.01 USD",))
    with pytest.raises(buoyfleet.BuoyError, match="nobody agreed") as raised:
        buoyfleet.Silent().confirm(stakes)
    assert "0.01 USD" in str(raised.value)


def test_every_public_name_is_declared_for_tools_and_loads(project_root):
    tree = ast.parse((project_root / "host" / "buoyfleet" / "__init__.py").read_text())
    (block,) = (
        node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    )
    declared = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(declared) == sorted(buoyfleet.__all__)
    for name, module in declared.items():
        thing = getattr(buoyfleet, name)
        assert thing.__doc__, name
        assert thing.__module__ == module, name
    with pytest.raises(AttributeError):
        _ = buoyfleet.no_such_name
