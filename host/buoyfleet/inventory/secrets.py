"""Secrets: referenced in fleet files, resolved when they are used, and never printed or written.

    password: ${env:BROKER_PASSWORD}     the environment
    password: ${file:broker}             the key `broker` of secrets.yaml beside the fleet file

secrets.yaml is flat (`name: value`), belongs to the user alone (0600) and is ignored by git.
"""

import os
import stat
from pathlib import Path
from typing import NoReturn

from buoyfleet.inventory.problems import Reporter, nearest
from buoyfleet.inventory.yaml_nodes import MAX_BYTES, Mapping, Scalar, compose
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.fleet import Fleet, SecretRef

FILE_NAME = "secrets.yaml"


class Secret:
    """A text that shows itself to nobody: `reveal()` is the only way to it, and it cannot be serialised."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret. Hand it on at once, and keep it in no attribute, log line or file."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(•••)"

    def __str__(self) -> str:
        return "•••"

    def __format__(self, _spec: str) -> str:
        return "•••"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, _memo: object) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be serialised")


def secrets_of(fleet: Fleet) -> list[tuple[str, SecretRef]]:
    """Every secret a fleet refers to, with the key that does."""
    password = fleet.target.password
    found = [] if password is None else [("target.password", password)]
    of_wifi = dict.fromkeys(board.wifi.password for board in fleet.boards if board.wifi is not None)
    return found + [("boards[].wifi.password", one) for one in of_wifi if one is not None]


def resolve_secret(reference: SecretRef, fleet_file: Path | str) -> Secret:
    """The secret that a fleet file refers to.

    Raises:
        PreflightError: the variable or key does not exist or is empty, or secrets.yaml can be read by others.
    """
    if reference.source == "env":
        text = os.environ.get(reference.name, "")
        if not text:
            state = "is empty" if reference.name in os.environ else "is not set"
            raise PreflightError(
                f"the environment variable {reference.name} {state}",
                where=str(fleet_file),
                next_step=f"read -rs {reference.name} && export {reference.name}",
            )
        return Secret(text)
    path = Path(fleet_file).parent / FILE_NAME
    text = _read_secrets(path, reference.name).get(reference.name, "")
    if not text:
        raise PreflightError(f"the key `{reference.name}` has no value", where=str(path))
    return Secret(text)


def _read_secrets(path: Path, wanted: str) -> dict[str, str]:
    """All keys of secrets.yaml; the one that is wanted is among them."""
    create = f"install -m 600 /dev/null {path}, then write the line `{wanted}: …` into it"
    try:
        with path.open("rb") as file:
            # The rights of the file that is open, not of one that may have taken its place.
            mode, owner = (status := os.fstat(file.fileno())).st_mode, status.st_uid
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise PreflightError("there is no such file", where=str(path), next_step=create) from None
    except OSError as error:
        raise PreflightError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        rights = stat.S_IMODE(mode)
        raise PreflightError(
            f"others may use the file (its mode is {rights:04o})",
            where=str(path),
            next_step=f"chmod 600 {path}; change the secrets in it if others could have read them",
        )
    if owner not in (os.geteuid(), 0):
        raise PreflightError("the file belongs to another user", where=str(path), next_step=create)
    return _keys(data, path, wanted)


def _keys(data: bytes, path: Path, wanted: str) -> dict[str, str]:
    # Nothing of this file is ever quoted, not even in an error.
    report = Reporter(str(path))
    try:
        root = compose(data.decode("utf-8-sig"), report) if len(data) <= MAX_BYTES else None
    except UnicodeDecodeError:
        root = None
    if report.problems:
        line = report.problems[0].line
        where = f"{path}:{line}" if line else str(path)
        raise PreflightError("this is no flat YAML of `name: value`", where=where)
    if not isinstance(root, Mapping):
        raise PreflightError("this is no flat YAML of `name: value`", where=str(path))
    if wanted not in root.items:
        near = nearest(wanted, root.items)
        hint = f"did you mean `{near}`?" if near else f"write the line `{wanted}: …` into it"
        raise PreflightError(f"it has no key `{wanted}`", where=str(path), next_step=hint)
    return {
        name: value.text
        for name, (_, value) in root.items.items()
        if isinstance(value, Scalar) and (value.quoted or value.value is not None)
    }
