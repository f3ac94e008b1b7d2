"""Every rehearsed fault at every stage, through the whole of `buoy run`: the verdict names exactly those."""

from pathlib import Path

import pytest
from run_bench import buoy, fleet_text, result_of

from buoyfleet.model.exit_codes import ExitCode

STORES_AFTER = {
    "broker": {"timestream", "s3"},
    "rules": {"timestream", "s3"},
    "timestream": {"timestream"},
    "kinesis": {"s3"},
    "firehose": {"s3"},
    "lambda": {"s3"},
    "s3": {"s3"},
}
FAULTS = {
    100: ("missing", {"kind": "lost", "messages": 3}),
    101: ("duplicated", {"kind": "duplicated", "messages": 4}),
    102: ("altered", {"kind": "altered", "messages": 5, "measures": "ph", "value": 1.5}),
    103: ("late", {"kind": "delayed", "messages": 6, "delay": "30 min"}),
}


@pytest.mark.soak
@pytest.mark.parametrize("stage", STORES_AFTER)
def test_faults_on_entering_a_stage_are_found_in_the_stores_behind_it(tmp_path: Path, stage: str) -> None:
    fleet_file = tmp_path / "boards.yaml"
    faults = [{"stage": stage, "buoys": buoy_id, **fault} for buoy_id, (_, fault) in FAULTS.items()]
    fleet_file.write_text(fleet_text(target_section={"kind": "local", "twin": {"faults": faults}}))
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out))
    assert run.process.returncode == ExitCode.VERDICT_FAILED, run.out + run.err
    found = {(loss["store"], loss["kind"], loss["buoy_id"], loss["seq"]) for loss in result_of(out)["losses"]}
    expected = {
        (store, kind, buoy_id, fault["messages"])
        for store in STORES_AFTER[stage]
        for buoy_id, (kind, fault) in FAULTS.items()
        # The same record again changes nothing in Timestream.
        if (store, kind) != ("timestream", "duplicated")
    }
    assert found == expected
