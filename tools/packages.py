"""Packages into a virtual environment, at the versions pinned in a file of constraints.

uv (MIT or Apache) does it in a tenth of the CPU; pip does where uv cannot: no build of it for the machine, an
index that it does not read. Both use the indexes of pip's configuration, which uv does not read by itself.
"""

import ast
import os
from pathlib import Path

from console import say

from buoyfleet.model.errors import PreflightError
from buoyfleet.programs.process import Finished, run

INSTALL_TIMEOUT_S = 1500.0
UV_TIMEOUT_S = 300.0
CONFIG_TIMEOUT_S = 60.0
# Names of `pip config list`, and the options of `uv pip install` for them.
UV_OPTIONS = {
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "trusted-host": "--allow-insecure-host",
}
UV_VARIABLES = {"cert": "SSL_CERT_FILE", "proxy": "ALL_PROXY"}


def install(venv: Path, pins: Path, arguments: list[str]) -> None:
    """Install `arguments` (requirements, and options that pip and uv share) into `venv`; the log is in there.

    Raises:
        PreflightError: with the last lines of pip, and what to type.
    """
    with (venv / "setup.log").open("a") as log:

        def on_line(line: str) -> None:
            log.write(line + "\n")
            name, _, size = line.strip().rpartition(" (")
            if name.startswith("Downloading ") and size.endswith(("MB)", "MiB)")):
                say(f"  downloading {name.split()[1].rsplit('/', 1)[-1].split('-')[0]} ({size}")

        def command(words: list[str | Path], variables: dict[str, str], timeout_s: float) -> Finished:
            words = [*words, "--constraint", pins, *arguments]
            return run(words, timeout_s=timeout_s, env={**_environment(), **variables}, on_line=on_line)

        if _with_uv(venv, pins):
            options, variables = uv_settings(_pip_configuration(venv))
            bin_ = venv / "bin"
            words: list[str | Path] = [bin_ / "uv", "pip", "install", "--python", bin_ / "python"]
            # As pip does: the best version of all indexes, not that of the first which has the name.
            words += ["--no-config", "--index-strategy", "unsafe-best-match", "--color", "never", *options]
            try:
                if command(words, variables, UV_TIMEOUT_S).code == 0:
                    return
            except PreflightError as error:
                log.write(f"uv: {error}\n")
            say("  uv could not; pip does it, which takes a minute or two more")
        done = command(_pip(venv, "install"), {}, INSTALL_TIMEOUT_S)
    if done.code != 0:
        raise PreflightError(
            f"pip could not install the dependencies (log: {log.name}):\n{done.tail()}\n"
            "  likely cause: no connection to the package index, or a full disk\n"
            "  next: check both and type the same command again"
        )


def _with_uv(venv: Path, pins: Path) -> bool:
    """Whether `venv` has uv, which is installed where it is missing."""
    if (venv / "bin" / "uv").exists():
        return True
    words = [*_pip(venv, "install"), "--only-binary", "uv", "--constraint", pins, "uv"]
    try:
        return run(words, timeout_s=UV_TIMEOUT_S, env=_environment()).code == 0
    except PreflightError:
        return False  # pip tries once more, and says what is wrong


def uv_settings(configuration: str) -> tuple[list[str], dict[str, str]]:
    """Options and variables that tell uv what `configuration`, the output of `pip config list`, tells pip."""
    options: list[str] = []
    variables: dict[str, str] = {}
    for line in configuration.splitlines():
        name, _, value = line.partition("=")
        _, _, key = name.rpartition(".")
        if key not in UV_OPTIONS and key not in UV_VARIABLES:
            continue
        text = ast.literal_eval(value)
        if key in UV_VARIABLES:
            variables[UV_VARIABLES[key]] = text
        else:
            options += [word for one in text.split() for word in (UV_OPTIONS[key], one)]
    return options, variables


def _pip_configuration(venv: Path) -> str:
    done = run(_pip(venv, "config", "list"), timeout_s=CONFIG_TIMEOUT_S, env=_environment())
    return done.output if done.code == 0 else ""


def _pip(venv: Path, *words: str) -> list[str | Path]:
    options = ["--no-input", "--disable-pip-version-check"]
    if words[0] == "install":
        # 9,000 files, of which a tenth is ever imported: those are compiled when they are.
        options += ["--no-compile", "--progress-bar", "off"]
    return [venv / "bin" / "python", "-m", "pip", *words, *options]


def _environment() -> dict[str, str]:
    """Without what would send packages elsewhere than into `.venv`."""
    dropped = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")
    return {name: value for name, value in os.environ.items() if name not in dropped}
