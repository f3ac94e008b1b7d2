"""Runs the real tools against simulated boards."""

import subprocess
import sys
import time
from pathlib import Path

TOOL_TIMEOUT_S = 300.0


def tool(name: str, *arguments: object, ok: bool = True) -> str:
    """What a program of this environment printed; its exit code is checked."""
    code, text = output(name, *arguments)
    assert (code == 0) == ok, text
    return text


def output(name: str, *arguments: object) -> tuple[int, str]:
    """Exit code and all that a program of this environment printed."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TOOL_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


def esptool(port: str, *arguments: object, ok: bool = True) -> str:
    """esptool as anyone calls it: once more where a busy computer was late for its stub.

    It waits 0.2 s for the answer that the stub runs, and reads nothing after that (`mem_finish`, 5.6).
    """
    for _ in range(3):
        code, text = output("esptool", "--port", port, *arguments)
        if "Failed to start stub flasher" not in text:
            break
    assert (code == 0) == ok, text
    return text


def mpremote(port: str, *arguments: object, ok: bool = True) -> str:
    """mpremote on a port."""
    return tool("mpremote", "connect", port, *arguments, ok=ok)


def wait_for(condition, timeout_s: float = 90.0):
    """The condition's value once it is true; fails after the deadline."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {timeout_s} s")
