"""Damaged files of a run: words and an exit code of their own, never an internal error."""

from pathlib import Path

import pytest
from synthetic_run import SyntheticRun

from buoyfleet.cli import main
from buoyfleet.model.errors import VerificationError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.report.load import NoResult, read_result

DAMAGES = {
    "empty": b"",
    "half": None,
    "noise": bytes(range(256)),
    "deep": b"[" * 5000,
    "other": b"[]",
}
STORE = Path("stores") / "s3" / "part-0.parquet"


@pytest.mark.parametrize("damage", list(DAMAGES))
@pytest.mark.parametrize("file", [STORE, Path("evidence") / "trace.parquet"], ids=["store", "evidence"])
def test_a_damaged_parquet_file_is_named_and_nothing_is_said_to_be_lost(
    file: Path, damage: str, tmp_path: Path
) -> None:
    run = SyntheticRun(boards=(100,), count=2)
    run.remove("timestream", 100, 1)  # so that the evidence is read
    run.write(tmp_path)
    content = DAMAGES[damage]
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    with pytest.raises(VerificationError) as caught:
        run.verify_written(tmp_path)
    assert caught.value.where == str(path)
    assert caught.value.exit_code == ExitCode.VERDICT_FAILED


NO_CONNECTION = (
    b'{"connections": [[100, 101, 102]], "gaps": [{"connection": 1, "since_ns": 1, "until_ns": 0, '
    b'"reason": "not-connected", "detail": ""}]}'
)
"""A gap of a connection that is not there."""


@pytest.mark.parametrize("damage", [*DAMAGES, "no-connection"])
def test_a_damaged_observation_proves_no_loss_and_hides_no_arrival(damage: str, tmp_path: Path) -> None:
    content = NO_CONNECTION if damage == "no-connection" else DAMAGES[damage] or b'{"connections": [['
    run = SyntheticRun(stores=("subscriber",), with_trace=False, stages=[])
    run.write(tmp_path)
    (tmp_path / "evidence" / "observation.json").write_bytes(content)
    assert run.verify_written(tmp_path).data_complete
    # Was the subscriber away when board 102 sent? That was in the file.
    run.unsee(102)
    run.write(tmp_path)
    verification = run.verify_written(tmp_path)
    assert (verification.stores[0].missing, verification.stores[0].unproven) == (36, 36)
    assert [diagnosis.cause for diagnosis in verification.diagnoses] == ["no-record"]
    assert verification.boards[2].state == "unproven"


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_result_can_be_made_anew(damage: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("fleet: x")
    (tmp_path / "result.json").write_bytes(DAMAGES[damage] or b'{"schema_version": 1, "run": {')
    with pytest.raises(NoResult) as caught:
        read_result(tmp_path)
    assert caught.value.verifiable
    assert f"buoy verify {tmp_path}" in caught.value.next_step


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_what_a_run_noted_last_may_be_damaged_too(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "fleet: x\ntarget: mqtt://127.0.0.1\nrun: {messages: 2, interval: 1 s}\n"
        "boards: [{kind: virtual, ids: 100}]\n"
    )
    (tmp_path / "run.json").write_bytes(DAMAGES[damage] or b'{"version": 1')
    code = main.invoke(["verify", str(tmp_path), "--quiet"])
    told = capsys.readouterr()
    assert code == ExitCode.INTERRUPTED, told.err
    assert "nothing was sent" in told.out


def test_a_result_of_a_newer_version_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fleet.yaml").write_text("fleet: x")
    (tmp_path / "result.json").write_text('{"schema_version": 99}')
    assert main.invoke(["verify", str(tmp_path)]) == ExitCode.USAGE
    assert "update buoyfleet" in capsys.readouterr().err
