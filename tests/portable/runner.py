"""Runs the tests of one module on MicroPython (and, for a look by hand, on CPython).

    micropython tests/portable/runner.py MODULE TEST...

Prints `@BEGIN test`, what the test prints, and `@PASS test` or `@FAIL test`; no test named: all of them.
Exit code 0 if all passed. `sys.path` comes from the environment variable BUOY_PATH, separated by colons.
"""

import gc
import os
import sys

MARK = "@"


def _trace(error):
    if hasattr(sys, "print_exception"):  # MicroPython
        sys.print_exception(error, sys.stdout)
    else:
        import traceback

        traceback.print_exception(error, file=sys.stdout)


def run(module_name, names):
    """Import a module and call its tests; returns how many failed."""
    module = __import__(module_name)
    failed = 0
    for name in names or [name for name in dir(module) if name.startswith("test_")]:
        gc.collect()
        print(MARK + "BEGIN", name)
        try:
            getattr(module, name)()
        except Exception as error:
            failed += 1
            _trace(error)
            print(MARK + "FAIL", name)
        else:
            print(MARK + "PASS", name)
    return failed


if __name__ == "__main__":
    sys.path[:] = os.getenv("BUOY_PATH").split(":") + sys.path
    sys.exit(1 if run(sys.argv[1], sys.argv[2:]) else 0)
