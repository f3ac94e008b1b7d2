"""Finding and reading the result of an earlier run."""

import json
from pathlib import Path

from pydantic import ValidationError

from buoyfleet.model.errors import UsageError
from buoyfleet.model.result import FILE_NAME, SCHEMA_VERSION, Result

LATEST = "latest"
_SHOWN = 3
_LEFT_BY_A_RUN = ("fleet.yaml", "run.json", "ledger", "logs")


class NoResult(UsageError):
    """A folder without a result that can be read."""

    def __init__(self, what: str, *, folder: Path, where: str, cause: str, next_step: str) -> None:
        super().__init__(what, where=where, cause=cause, next_step=next_step)
        self.verifiable = (folder / "fleet.yaml").exists()
        """`buoy verify` can give the verdict."""


def find_run(name: str, runs: Path, *, finished: bool = True) -> Path:
    """The folder of the run that `name` means.

    Args:
        name: `latest`, a run's folder, its result.json, or the beginning of either's path or folder name.
        runs: the folder that holds the runs.
        finished: `latest` is the last one with a result, not one that was killed.

    Raises:
        UsageError: nothing or more than one run is meant.
    """
    if name == LATEST:
        return _latest(runs) if finished else _latest_begun(runs)
    path = Path(name)
    if path.is_file():
        return path.parent
    if path.is_dir():
        return path
    matches = sorted({folder.resolve(): folder for folder in _beginning_with(name, runs)}.values())
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(
            f"{name!r} is the beginning of {len(matches)} runs: {_some([folder.name for folder in matches])}",
            where=str(matches[0].parent),
            next_step="type more of the name, or `latest`",
        )
    raise UsageError(
        f"there is no run {name!r}",
        where=str(runs),
        cause=_what_there_is(runs),
        next_step="buoy report latest, or the path of a run's folder",
    )


def read_result(folder: Path) -> Result:
    """The result in a run's folder.

    Raises:
        UsageError: no run's folder, a result of a newer buoyfleet, or a damaged file.
    """
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _no_result(folder) from None
    except UnicodeDecodeError as error:
        raise _damaged(f"the result is damaged: byte {error.start} is no UTF-8", path) from None
    except OSError as error:
        raise UsageError(f"the result cannot be read: {error.strerror}", where=str(path)) from None
    return _parse(text, path)


def _parse(text: str, path: Path) -> Result:
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        what = (
            f"{error.msg} in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "too deep"
        )
        raise _damaged(f"the result is damaged: {what}", path) from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise UsageError(
            f"the result has schema version {version}; this buoyfleet reads up to {SCHEMA_VERSION}",
            where=str(path),
            cause="a newer buoyfleet made it",
            next_step="update buoyfleet and type the same command again",
        )
    try:
        return Result.model_validate(data)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise _damaged(f"this is no result of a run: {_some(problems, '; ')}", path) from None


def _damaged(what: str, path: Path) -> NoResult:
    return NoResult(
        what,
        folder=path.parent,
        where=str(path),
        cause="the file was changed or cut off after the run, or comes from another program",
        next_step=f"buoy verify {path.parent}, which makes it anew from ledger and stores",
    )


def _latest(runs: Path) -> Path:
    folders = [folder for folder in _runs(runs) if (folder / FILE_NAME).is_file()]
    if not folders:
        raise UsageError(
            "there is no run with a result yet", where=str(runs), next_step="buoy run, or --runs FOLDER"
        )
    return max(folders, key=lambda folder: ((folder / FILE_NAME).stat().st_mtime_ns, folder.name))


def _latest_begun(runs: Path) -> Path:
    folders = [folder for folder in _runs(runs) if (folder / "fleet.yaml").is_file()]
    if not folders:
        raise UsageError("there is no run yet", where=str(runs), next_step="buoy run, or --runs FOLDER")
    return max(folders, key=lambda folder: ((folder / "fleet.yaml").stat().st_mtime_ns, folder.name))


def _runs(runs: Path) -> list[Path]:
    return sorted(folder for folder in runs.iterdir() if folder.is_dir()) if runs.is_dir() else []


def _beginning_with(name: str, runs: Path) -> list[Path]:
    as_name = [folder for folder in _runs(runs) if folder.name.startswith(name)] if "/" not in name else []
    path = Path(name)
    as_path = [folder for folder in _runs(path.parent) if folder.name.startswith(path.name) and path.name]
    return as_name + [folder for folder in as_path if (folder / FILE_NAME).is_file()]


def _no_result(folder: Path) -> UsageError:
    if any((folder / name).exists() for name in _LEFT_BY_A_RUN):
        return NoResult(
            f"the run has no {FILE_NAME}",
            folder=folder,
            where=str(folder),
            cause="it ended before its verdict; what was sent is in the folder's ledger",
            next_step=f"buoy verify {folder}",
        )
    return UsageError(
        f"this is not the folder of a run: it has no {FILE_NAME}",
        where=str(folder),
        next_step="buoy report latest, or the path of a run's folder",
    )


def _what_there_is(runs: Path) -> str:
    names = [folder.name for folder in _runs(runs)]
    if not names:
        return f"{runs} holds no runs"
    return f"{runs} holds {_some(names[::-1])}"


def _some(texts: list[str], separator: str = ", ") -> str:
    more = len(texts) - _SHOWN
    return separator.join(texts[:_SHOWN]) + (f"{separator}and {more} more" if more > 0 else "")
