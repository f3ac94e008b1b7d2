# ruff: noqa
# mypy: ignore-errors
"""Runs on the board, first of all: keeps files of the board from standing in for MicroPython's own modules.

MicroPython looks for `json` along `sys.path` before it takes its own, so that a `/json.py` is what our programs
would import. Places with files leave `sys.path`, and what was loaded from them leaves `sys.modules`; frozen
modules stay. Names of the program that was interrupted stand in for no built-in, and paths begin at the root again,
where it went to another folder. `import uos` is always MicroPython's own (py/builtinimport.c, since 1.21).
Prints the files that stand in front of `modules`, or are called as a folder of ours.
"""


def guard(modules, folders):
    import builtins, sys

    for name in dir(builtins):
        if not name.startswith("__"):
            globals().pop(name, None)

    global buoy_path
    try:
        buoy_path
    except NameError:
        buoy_path = sys.path[:]
    sys.path[:] = []
    try:
        import uos as os
    except ImportError:
        sys.modules.pop("os", None)
        import os
    os.chdir("/")
    keep = []
    for place in buoy_path:
        try:
            entries = list(os.ilistdir(place or "/"))
        except Exception:  # no folder, or one that lists nothing, such as the firmware's program
            keep.append(place)
            continue
        for entry in entries:
            name = entry[0]
            stem = name
            for end in (".py", ".mpy"):
                if name.endswith(end):
                    stem = name[: -len(end)]
            is_folder = entry[1] & 0x4000
            if stem in folders and not is_folder or stem in modules and (is_folder or stem != name):
                print((place if place != "/" else "") + "/" + name)
    sys.path[:] = keep
    for name in list(sys.modules):
        file = getattr(sys.modules[name], "__file__", None)
        if file and not [place for place in keep if file.startswith(place)]:
            del sys.modules[name]
