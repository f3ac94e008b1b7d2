"""A run right after commissioning takes the authority that the boards trust."""

from pathlib import Path

import pytest

from buoyfleet.bench.folder import BenchFolder
from buoyfleet.bench.prepare import boards_authority
from buoyfleet.inventory.loader import load_fleet

PLUGGED = "{kind: simulated, ids: 131, port: sim/ports/buoy-131}"


def authority_of(folder: Path, target: str, board: str = PLUGGED) -> str | None:
    path = folder / "fleet.yaml"
    path.write_text(f"fleet: x\ntarget: {target}\nrun: {{messages: 1, rate: 1/s}}\nboards:\n  - {board}\n")
    twin = boards_authority(load_fleet(path, connects=True), BenchFolder(folder / "bench")).target.twin
    return twin.tls.authority if twin is not None and twin.tls is not None else None


def test_boards_on_ports_get_a_twin_of_the_authority_that_signed_their_certificates(tmp_path: Path) -> None:
    assert not authority_of(tmp_path, "{kind: local, twin: {tls: true}}"), "nothing was commissioned yet"
    (tmp_path / "bench" / "certs").mkdir(parents=True)
    kept = str((tmp_path / "bench" / "certs").resolve())
    assert authority_of(tmp_path, "{kind: local, twin: {tls: true}}") == kept


@pytest.mark.parametrize(
    ("target", "board"),
    [
        ("local", PLUGGED),
        ("{kind: local, twin: {tls: true}}", "{kind: virtual, ids: 100}"),
        ("mqtt://127.0.0.1", PLUGGED),
    ],
)
def test_nobody_else_does(tmp_path: Path, target: str, board: str) -> None:
    (tmp_path / "bench" / "certs").mkdir(parents=True)
    assert not authority_of(tmp_path, target, board)


def test_an_authority_that_the_file_names_is_taken(tmp_path: Path) -> None:
    (tmp_path / "bench" / "certs").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    target = "{kind: local, twin: {tls: {authority: own}}}"
    assert str(authority_of(tmp_path, target)).endswith("own")
