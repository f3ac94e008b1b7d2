"""What runs on the bench computer.

Importing it makes the two packages of a board, `buoy` and `sensors`, importable by the names that they have
there: the host works with the same files. They come with this package and are never installed beside it.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from buoyfleet.model.places import FILES

_FOLDERS = {"buoy": FILES / "firmware", "sensors": FILES}


class _BoardPackages:
    """Ahead of the path: a folder `sensors` where a user works is not what a board has.

    No subclass of `importlib.abc.MetaPathFinder`: its import would double the time of `buoy --help`.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path
        folder = _FOLDERS.get(name)
        return None if folder is None else PathFinder.find_spec(name, [str(folder)], target)


def _refuse_others() -> None:
    for name, folder in _FOLDERS.items():
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and not file.startswith(str(folder / name)):
            raise ImportError(
                f"a package `{name}` of another program is loaded ({file}); buoyfleet has one of that name: "
                "import buoyfleet first, or use it in a process of its own"
            )


_refuse_others()
if not any(isinstance(finder, _BoardPackages) for finder in sys.meta_path):
    sys.meta_path.insert(0, _BoardPackages())
