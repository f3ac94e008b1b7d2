"""`pip install buoyfleet` gives the whole tool: a wheel in its own environment, used from an empty folder."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from wheel import ROOT, Environment, build

WITH_OTHERS = {"botocore", "markupsafe"}
"""Libraries of boto3 and jinja2, named in the documentation of these."""
WITH_NICEGUI = {"fastapi", "starlette", "uvicorn"}
"""What NiceGUI is built on; its documentation names them as what an application may use."""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Just installed: nothing was fetched."""
    folder = tmp_path_factory.mktemp("bare")
    return Environment(folder, build(folder))


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """After `buoy setup`."""
    folder = tmp_path_factory.mktemp("ready")
    environment = Environment(folder, build(folder))
    environment.share_programs()
    return environment


def be_patient(fleet_file):
    """A computer that is busy sends late: that is no fault of the wheel."""
    text = fleet_file.read_text()
    assert "late_send: 100 ms" in text
    fleet_file.write_text(text.replace("late_send: 100 ms", "late_send: 1 h"))


def test_one_package_and_the_plugin_of_pytest_are_installed_and_they_are_the_wheels(bare):
    names = {name.split("/")[0] for name in bare.installed_files()}
    found = {name for name in names if not name.endswith((".dist-info", ".pth", "__pycache__"))}
    assert found == {"buoyfleet", "pytest_buoyfleet.py"}
    printed = bare.python(
        "import buoyfleet, buoy, sensors; print(buoyfleet.__file__, buoy.__file__, sensors.__file__)"
    )
    assert all(path.startswith(str(bare.packages / "buoyfleet")) for path in printed.split())


def test_the_version_is_the_projects(bare):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert bare.buoy("--version").stdout == f"buoy {version}\n"


def test_without_micropython_virtual_boards_run_and_the_rest_says_what_to_type(bare):
    before = bare.installed_files()
    said = [bare.buoy("check").stdout]
    assert "buoy init" in said[0]
    made = bare.buoy("init")
    assert made.returncode == 0, made.stdout
    assert "buoy setup" in made.stdout
    assert bare.buoy("check").returncode == 0
    be_patient(bare.work / "boards.yaml")
    done = bare.buoy("run", "--boards", "100-103", "--count", "3")
    assert done.returncode == 0, done.stdout
    for words in (["simulate"], ["doctor"]):
        done = bare.buoy(*words)
        assert done.returncode == 3, done.stdout
        assert "buoy setup" in done.stdout
        said.append(done.stdout)
    (bare.work / "two.yaml").write_text(
        "fleet: two\nrun: {messages: 2, rate: 10/s}\nboards:\n  - {kind: simulated, ids: 128}\n"
    )
    for words in (["check", "two.yaml"], ["run", "two.yaml"]):
        done = bare.buoy(*words)
        assert done.returncode == 3, done.stdout
        assert "buoy setup" in done.stdout
        said.append(done.stdout)
    assert not any(re.search(r"\bmake (setup|run|test)\b|\.tools|\.venv/bin", text) for text in said)
    assert bare.installed_files() == before


def test_a_simulated_board_is_refused_where_umqtt_is_missing(bare):
    (bare.kept).mkdir(parents=True, exist_ok=True)
    linked = [bare.kept / name for name in ("bin", "micropython", "i386")]
    for link in linked:
        link.symlink_to(ROOT / ".tools" / link.name)
    try:
        done = bare.buoy("simulate")
    finally:
        for link in linked:
            link.unlink()
    assert done.returncode == 3
    assert "umqtt" in done.stdout
    assert "next: buoy setup" in done.stdout


def test_a_mixed_fleet_runs_to_its_verdict_from_an_empty_folder(ready):
    before = ready.installed_files()
    assert ready.buoy("init", "--virtual", "3", "--simulated", "1").returncode == 0
    checked = ready.buoy("check")
    assert checked.returncode == 0, checked.stdout
    be_patient(ready.work / "boards.yaml")
    done = ready.buoy("run", "--count", "5", timeout_s=600)
    assert done.returncode == 0, done.stdout
    (run,) = (ready.work / "runs").iterdir()
    result = json.loads((run / "result.json").read_text())
    assert {board["kind"] for board in result["boards"]} == {"virtual", "simulated"}
    assert "<html" in (run / "report.html").read_text()
    (run / "report.html").unlink()
    assert ready.buoy("report", "latest").returncode == 0
    assert (run / "report.html").exists()
    assert ready.buoy("verify", "latest").returncode == 0
    assert ready.installed_files() == before


def test_what_commands_bring_along_is_there(ready):
    before = ready.installed_files()
    schema = json.loads(ready.buoy("schema").stdout)
    assert schema["properties"]["boards"]
    for words, expected in (
        (["docs"], "calibration"),
        (["docs", "twin"], "# The twin"),
        (["sensors"], "dissolved oxygen"),
        (["cloud", "template"], "AWSTemplateFormatVersion"),
        (["doctor"], "all that is needed works"),
        (["init", "--scenarios"], "original.yaml"),
        (["check", "scenarios/original.yaml"], "ready"),
        (["water", "--plot", "water.svg"], ""),
    ):
        done = ready.buoy(*words)
        assert done.returncode == 0, done.stdout
        assert expected in done.stdout
    assert ready.installed_files() == before


def test_every_library_that_the_package_imports_is_a_dependency_of_the_wheel(project_root):
    """The environments of these tests see the test dependencies too: they would hide one that is missing."""
    package = project_root / "host" / "buoyfleet"
    own = {"buoyfleet", "buoy", "sensors", ""} | set(sys.stdlib_module_names)
    imported: dict[bool, set[str]] = {True: set(), False: set()}
    for file in package.rglob("*.py"):
        if {"repl", "shims"} & set(file.parts):
            continue  # for MicroPython
        in_browser = file.is_relative_to(package / "web")
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            imported[in_browser] |= {name.split(".")[0] for name in names} - own
    project = tomllib.loads((project_root / "pyproject.toml").read_text())["project"]
    declared = WITH_OTHERS | _names(project["dependencies"])
    with_web = declared | WITH_NICEGUI | _names(project["optional-dependencies"]["web"])
    provided = packages_distributions()
    missing = {
        name
        for in_browser, libraries in imported.items()
        for name in libraries
        if name in provided
        and not {one.lower().replace("_", "-") for one in provided[name]}
        & (with_web if in_browser else declared)
    }
    assert imported[False] & provided.keys() >= {"typer", "pyarrow", "serial"}
    assert missing == set()


def _names(requirements):
    return {re.match(r"[\w.-]+", line)[0].lower() for line in requirements}


def test_the_firmware_of_boards_is_made(ready):
    printed = ready.python(
        "from buoyfleet.boards.firmware_files import firmware_files; print(*firmware_files())"
    )
    assert "boot.py" in printed.split()


def test_a_simulated_board_on_a_port_is_found_by_init_and_runs_in_the_fleet(ready):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(ready.home),
        "BUOY_LOCKS": os.environ["BUOY_LOCKS"],
    }
    with subprocess.Popen(
        [ready.bin / "buoy", "simulate", "--firmware", "--json", "--first-id", "7"],
        cwd=ready.work,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as simulator:
        try:
            line = json.loads(simulator.stdout.readline())
            port = line["boards"][0]["port"] if "boards" in line else line["port"]
            made = ready.buoy("init", "cabled.yaml", "--virtual", "1", "--simulated", "0", "--ports", port)
            assert made.returncode == 0, made.stdout
            checked = ready.buoy("check", "cabled.yaml")
            assert checked.returncode == 0, checked.stdout
            be_patient(ready.work / "cabled.yaml")
            done = ready.buoy("run", "cabled.yaml", "--count", "3", timeout_s=600)
            assert done.returncode == 0, done.stdout
        finally:
            simulator.send_signal(signal.SIGINT)
            simulator.wait(60)


def test_a_project_of_somebody_else_has_the_fixtures_of_pytest(ready):
    project = ready.work / "project"
    project.mkdir()
    (project / "test_it.py").write_text(
        "import buoyfleet\n\n\n"
        "def test_a_board(board):\n"
        "    assert board.run('print(6 * 7)').strip() == '42'\n"
        f"    assert buoyfleet.__file__.startswith({str(ready.packages)!r})\n"
    )
    command = [ready.bin / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = ready.run(command, project)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
