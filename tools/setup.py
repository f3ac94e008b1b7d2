"""Set-up of this checkout: a virtual environment and the programs that the tests drive.

`run` prepares what `make run` needs, `test` what `make test` needs. Everything stays in `.venv/` and
`.tools/`; no root, nothing on the system is touched, and a second call finds everything in place.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "host"))  # programs/ needs nothing but the standard library

import environment  # noqa: E402 - after the path
from console import fail, say  # noqa: E402

from buoyfleet.model.errors import PreflightError  # noqa: E402
from buoyfleet.programs import catalogue, fetch  # noqa: E402
from buoyfleet.programs.set_up import alone  # noqa: E402

NEEDED = {
    "run": (catalogue.MICROPYTHON,),
    "test": (catalogue.MOSQUITTO, catalogue.MICROPYTHON, catalogue.INFLUXDB),
}


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 3 as for any machine that is not ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("goal", choices=sorted(NEEDED))
    parser.add_argument("--tools", type=Path, default=ROOT / ".tools", help="folder of fetched programs")
    parser.add_argument("--programs-only", action="store_true", help="leave .venv alone")
    options = parser.parse_args(arguments)
    tools = options.tools.resolve()
    try:
        with alone(tools, say):
            if not options.programs_only:
                environment.ensure(ROOT, tools, options.goal)
            fetch.prepare(NEEDED[options.goal], tools, ROOT / ".venv" / "bin" / "python", say)
    except PreflightError as error:
        return fail(error)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
