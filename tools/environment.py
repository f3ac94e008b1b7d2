"""The virtual environment `.venv`: made, filled with pinned dependencies, and stamped."""

import hashlib
import importlib.util
import json
import platform
import shutil
import sys
import tomllib
from pathlib import Path

import packages
from console import say

from buoyfleet.model.errors import PreflightError
from buoyfleet.programs import system_packages
from buoyfleet.programs.process import run

# What builds this project (editables: an editable install by hatchling) and esptool, which comes as source.
BUILD_REQUIREMENTS = ("hatchling", "editables", "setuptools")
CREATE_TIMEOUT_S = 120.0


def ensure(root: Path, tools: Path, goal: str) -> None:
    """Make `.venv` hold what `goal` (run or test) needs; nothing is done when its stamp says so.

    Raises:
        PreflightError: with the cause and what to type.
    """
    venv = root / ".venv"
    wanted = fingerprint(root)
    if (venv / "bin" / "buoy").exists() and (venv / "bin" / "python").exists():
        # The tests' environment holds everything that a run needs.
        goals = {goal, "test"}
        if any(_read(_stamp(venv, name)) == wanted for name in goals):
            return
    _create(venv, tools)
    unfinished = venv / ".unfinished"
    unfinished.touch()
    for name in ("run", "test"):
        _stamp(venv, name).unlink(missing_ok=True)
    extra = "[test,docs]" if goal == "test" else ""
    say(f"installing the dependencies of `make {goal}` into .venv (a minute or two the first time)")
    pins = root / "constraints.txt"
    packages.install(venv, pins, list(BUILD_REQUIREMENTS))
    packages.install(venv, pins, ["--no-build-isolation", "--editable", f"{root}{extra}"])
    temporary = _stamp(venv, goal).with_suffix(".new")
    temporary.write_text(wanted)
    temporary.replace(_stamp(venv, goal))
    unfinished.unlink()
    say("dependencies are in place")


def fingerprint(root: Path) -> str:
    """A digest of all that decides what belongs into `.venv`, its own place included (scripts hold it)."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    tables = [project["build-system"], project["project"], project.get("tool", {}).get("hatch")]
    text = json.dumps([str(root), platform.machine(), tables], sort_keys=True)
    return hashlib.sha256(text.encode() + (root / "constraints.txt").read_bytes()).hexdigest()


def _stamp(venv: Path, goal: str) -> Path:
    return venv / f".ready-{goal}"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _create(venv: Path, tools: Path) -> None:
    if (venv / ".unfinished").exists():
        say("the last set-up was interrupted; .venv is made anew")
        shutil.rmtree(venv)
    if venv.exists() and not _usable(venv):
        say(".venv does not work here (moved, or its Python is gone); it is made anew")
        shutil.rmtree(venv)
    if venv.exists():
        return
    say(f"making .venv with Python {platform.python_version()} ({sys.executable})")
    venv.mkdir()
    (venv / ".unfinished").touch()
    with_pip = importlib.util.find_spec("ensurepip") is not None
    command: list[str | Path] = [sys.executable, "-m", "venv", venv]
    done = run(command if with_pip else [*command, "--without-pip"], timeout_s=CREATE_TIMEOUT_S)
    if done.code != 0:
        raise PreflightError(f"python -m venv failed:\n{done.tail()}\n{_venv_advice()}")
    if not with_pip:
        _pip_from_system_packages(venv, tools)


def _usable(venv: Path) -> bool:
    """Whether this environment runs, is new enough, knows its own place and has pip."""
    code = (
        "import sys, pip; "
        f"sys.exit(sys.version_info < (3, 11) or sys.prefix != {str(venv)!r} or not pip.__version__)"
    )
    try:
        return run([venv / "bin" / "python", "-c", code], timeout_s=30).code == 0 and _own_scripts(venv)
    except PreflightError:
        return False


def _own_scripts(venv: Path) -> bool:
    """Whether pip's script starts this environment's Python: an environment that was moved starts another."""
    script = venv / "bin" / "pip"
    return not script.exists() or str(venv).encode() in script.read_bytes()


def _pip_from_system_packages(venv: Path, tools: Path) -> None:
    """Debian splits pip off Python: take its wheel out of the package, without installing that."""
    say("this Python has no ensurepip; fetching pip's wheel from the system's packages")
    folder = tools / "pip"
    try:
        if not list(folder.rglob("pip-*.whl")):
            system_packages.fetch(["python3-pip-whl"], folder, tools / ".fetching-pip", say)
        wheel = max(folder.rglob("pip-*.whl"))
    except (PreflightError, ValueError) as error:
        raise PreflightError(
            f"Python cannot make a virtual environment with pip: {error}\n{_venv_advice()}"
        ) from error
    done = run(
        [venv / "bin" / "python", f"{wheel}/pip", "install", "--quiet", "--no-index", wheel],
        timeout_s=CREATE_TIMEOUT_S,
    )
    if done.code != 0:
        raise PreflightError(f"pip could not be put into .venv:\n{done.tail()}\n{_venv_advice()}")


def _venv_advice() -> str:
    major, minor = sys.version_info[:2]
    return (
        "  likely cause: the package for virtual environments is not installed\n"
        f"  next: sudo apt-get install python3-venv   (or python{major}.{minor}-venv)"
    )
