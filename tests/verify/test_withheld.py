"""A sensor that is on and gives no value: withheld, which is neither sent nor lost."""

from pathlib import Path

from buoy.app import SENSOR_ERROR
from buoy.payload import error_payload
from synthetic_run import SyntheticRun

from buoyfleet.model.fleet import SensorSpec
from buoyfleet.model.observation import Observation
from buoyfleet.report.heatmap import heat_map
from buoyfleet.verify.boards import BoardFacts
from buoyfleet.verify.verdict import Verification
from sensors.catalog import KEYS
from sensors.flags import MISSING, UNCAL, errors

THRESHOLDS = ("sensors.withheld == 0", "sensors.silent == 0", "s3.missing == 0")


def with_dead_sensor(*seqs: int, says: str = "") -> SyntheticRun:
    """Board 101 has no pH in these messages."""
    run = SyntheticRun(thresholds=THRESHOLDS, sensors=tuple(SensorSpec(key, "counter") for key in KEYS))
    for seq in seqs:
        for name in run.stores:
            run.remove(name, 101, seq, "ph")
        del run.sent[101, seq].values["ph"]
        message = run.sent[101, seq]
        (received,) = [row for row in run.received if row["message"] == message.number]
        received["payload"] = message.payload
    if says:
        run.observation = Observation(
            [[100, 101, 102]],
            errors=[
                (101, "not JSON"),
                (101, '{"sensor-error": {"code": 101, "message": "ph missing: of another firmware"}}'),
                (101, '{"sensor-error": [[], {"code": []}]}'),
                # Published all the same: no reason for a value that is not there.
                *((101, said("ph", 107, text)) for _, _, text in errors("ph", UNCAL, "")),
                *((101, said("do", code, text)) for _, code, text in errors("do", MISSING, "another sensor")),
                *((101, said("ph", code, text)) for _, code, text in errors("ph", MISSING, says)),
                *((101, said("ph", code, text)) for _, code, text in errors("ph", MISSING, "said later")),
            ],
        )
    return run


def said(key: str, code: int, text: str) -> str:
    """As a board's application puts it on the error topic."""
    return error_payload(1, SENSOR_ERROR, code, text, key).decode()


def values(verification: Verification) -> dict[str, float | None]:
    return {threshold.text: threshold.value for threshold in verification.thresholds}


def test_a_dead_sensor_is_counted_and_named_with_its_own_reason(tmp_path: Path) -> None:
    run = with_dead_sensor(0, 1, 2, 3, says="ADC at 0 mV")
    verification = run.verify(tmp_path)
    for store in verification.stores:
        assert (store.expected, store.withheld, store.found, store.missing) == (108, 4, 104, 0)
    board = verification.boards[1]
    assert (board.withheld, board.measures_expected["ph"], board.measures["s3"]["ph"]) == ({"ph": 4}, 4, 0)
    assert values(verification) == {
        "sensors.withheld == 0": 4,
        "sensors.silent == 0": 1,
        "s3.missing == 0": 0,
    }
    (diagnosis,) = verification.diagnoses
    assert diagnosis.kind == "withheld"
    assert diagnosis.sentence == (
        "4 measures of ph (board 101) were withheld by the sensor: missing: no answer: part not fitted, "
        "unpowered, or a wire open or shorted; ADC at 0 mV."
    )
    assert verification.data_complete
    picture = heat_map(verification.boards, "s3")
    assert "101 ph: 0 of 4, 4 withheld" in picture
    assert 'class="withheld"' in picture


def test_a_sensor_that_gave_a_value_now_and_then_is_withheld_but_not_silent(tmp_path: Path) -> None:
    verification = with_dead_sensor(0).verify(tmp_path)
    assert values(verification)["sensors.withheld == 0"] == 1
    assert values(verification)["sensors.silent == 0"] == 0
    assert "gave no reason" in verification.diagnoses[0].sentence


def test_a_sensor_that_is_off_withholds_nothing(tmp_path: Path) -> None:
    run = with_dead_sensor(0, 1, 2, 3)
    run.sensors = tuple(SensorSpec(key, "off" if key == "ph" else "counter") for key in KEYS)
    for seq in range(4):
        for buoy in (100, 102):
            for name in run.stores:
                run.remove(name, buoy, seq, "ph")
            del run.sent[buoy, seq].values["ph"]
    verification = run.verify(tmp_path)
    assert verification.stores[0].withheld == 0
    assert values(verification)["sensors.withheld == 0"] == 0


def test_what_a_configuration_leaves_out_is_not_withheld(tmp_path: Path) -> None:
    run = with_dead_sensor(0, 1, 2, 3)
    run.facts = {101: BoardFacts(left_out=[(1, ["ph", "do"]), (3, [])])}
    verification = run.verify(tmp_path)
    # Of the four, 1 and 2 were left out; 0 came before the configuration, 3 after it was taken back.
    assert values(verification)["sensors.withheld == 0"] == 2.0
    assert verification.boards[1].withheld == {"ph": 2}
    run.facts = {101: BoardFacts(left_out=[(0, ["ph"])])}
    verification = run.verify(tmp_path / "again")
    assert verification.thresholds_passed
    assert verification.boards[1].state == "passed"
