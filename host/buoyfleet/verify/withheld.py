"""Measures that a sensor was on for and gave no value: neither sent nor lost, and counted of their own."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from buoyfleet.model.evidence import EVIDENCE_FOLDER
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.observation import read_observation
from buoyfleet.model.result import Diagnosis
from buoyfleet.verify.database import Database, column
from buoyfleet.verify.words import boards_text, count_text
from sensors.catalog import KEYS
from sensors.flags import TABLE
from sensors.quality import publishable

_SENSOR_ERROR = "sensor-error"  # kind of an error message (buoy.app)
_WITHHOLDING_CODES = frozenset(code for flag, _, code, _ in TABLE if not publishable(flag))
_NO_REASON = "it gave no reason; a configuration on `config/sensor/` may leave it out"


LeftOut = list[tuple[int, list[str]]]
"""From which message on a configuration left which keys out; each entry replaces the one before."""


def withheld_measures(
    db: Database, fleet: Fleet, left_out: Mapping[int, LeftOut]
) -> dict[int, dict[str, int]]:
    """Buoy → key → measures that were not in its messages, of sensors that are on; only those above 0.

    Args:
        db: with the table `wide`.
        fleet: which sensors are on.
        left_out: by buoy id; what a configuration leaves out no sensor withholds.
    """
    counts = ", ".join(f"count({column(key)})" for key in KEYS)
    sent = {
        buoy: (messages, dict(zip(KEYS, numbers, strict=True)))
        for buoy, messages, *numbers in db.rows(
            f"SELECT buoy, count(*), {counts} FROM wide WHERE regular GROUP BY buoy"
        )
    }
    found: dict[int, dict[str, int]] = {}
    for board in fleet.boards:
        messages, values = sent.get(board.buoy_id, (0, {}))
        mine = {
            sensor.key: messages - values.get(sensor.key, 0)
            for sensor in board.sensors
            if sensor.mode != "off" and messages > values.get(sensor.key, 0)
        }
        _take_left_out(db, board.buoy_id, mine, left_out.get(board.buoy_id, []))
        if mine:
            found[board.buoy_id] = mine
    return found


def _take_left_out(db: Database, buoy: int, mine: dict[str, int], left_out: LeftOut) -> None:
    for index, (first, keys) in enumerate(left_out):
        end = left_out[index + 1][0] if index + 1 < len(left_out) else 1 << 31
        for key in mine.keys() & set(keys):
            mine[key] -= db.number(
                f"SELECT count(*) FROM wide WHERE regular AND buoy = {buoy} AND seq >= {first} "
                f"AND seq < {end} AND {column(key)} IS NULL"
            )
    for key in [key for key, number in mine.items() if not number]:
        del mine[key]


def sensor_reasons(run_folder: Path) -> dict[tuple[int, str], str]:
    """(buoy, key) → why the sensor withheld values, as it said first on the error topic."""
    reasons: dict[tuple[int, str], str] = {}
    for buoy, payload in read_observation(run_folder / EVIDENCE_FOLDER, ()).errors:
        try:
            error = json.loads(payload)[_SENSOR_ERROR]
            key, code, message = str(error["sensor"]), error["code"], str(error["message"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # another kind of error, or not of our firmware
        if key in KEYS and code in _WITHHOLDING_CODES:
            reasons.setdefault((int(buoy), key), message.removeprefix(f"{key} "))
    return reasons


def diagnose_withheld(
    withheld: dict[int, dict[str, int]], reasons: dict[tuple[int, str], str]
) -> list[Diagnosis]:
    """One diagnosis per measure and reason, most measures first."""
    groups: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for buoy, keys in withheld.items():
        for key, number in keys.items():
            groups[key, reasons.get((buoy, key), _NO_REASON)][buoy] = number
    found = []
    for (key, reason), boards in sorted(groups.items(), key=lambda item: -sum(item[1].values())):
        number = sum(boards.values())
        verb = "was" if number == 1 else "were"
        found.append(
            Diagnosis(
                store="",
                kind="withheld",
                stage="board",
                cause="withheld",
                measures=number,
                messages=number,
                sentence=f"{count_text(number, f'measure of {key}', f'measures of {key}')} "
                f"({boards_text(sorted(boards))}) {verb} withheld by the sensor: {reason}.",
                change="Look at the sensor and its wiring, or set it to `off` where it is not fitted.",
            )
        )
    return found
