"""Bad probes, swapped bottles, unstable solutions, bubbles, pulled plugs: each ends in the right refusal.

After every one the board has its old calibration, whole: settings and the circuit's own numbers.
"""

import pytest
from bench_world import SimulatedBoard, Technician, calibrate, water

from buoyfleet.model.errors import BoardError
from buoyfleet.simulation.parts.solutions import vessel


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Changing:
    """A medium that does not stay as it is: `amount` per minute of one quantity."""

    def __init__(self, medium, name, per_minute):
        self.medium, self.name, self.per_minute = medium, name, per_minute

    def sample(self, t_s):
        sample = self.medium.sample(t_s)
        return sample._replace(**{self.name: getattr(sample, self.name) + self.per_minute * t_s / 60.0})


def fault(key, name):
    return lambda board, _attempt: board.bench.inject(key, name)


def foul(key, share):
    def act(board, _attempt):
        board.bench.part(key).fouling = share

    return act


def drift_zero(board, _attempt):
    board.bench.part("wp").zero_v = 0.66


def lose_k(board, _attempt):
    board.bench.inject("ec", "k-lost")
    board.bench.inject("ec", "k-refused")


ALL = object()  # from the first step on
# what happens, key, points, mischief by step (or ALL), vessels in place of the right ones, what is said
CASES = [
    ("worn glass", "ph", (), {ALL: fault("ph", "low-slope")}, {}, "slope, acid side"),
    ("poisoned reference", "ph", (), {ALL: fault("ph", "offset")}, {}, "zero offset"),
    ("cracked glass", "ph", (), {ALL: fault("ph", "cracked")}, {}, "cracked glass"),
    ("dried-out bulb", "ph", (), {"low": fault("ph", "dry")}, {}, "slow probe"),
    ("pH probe unplugged", "ph", (), {ALL: fault("ph", "unplugged")}, {}, "probe unplugged"),
    ("pH probe unplugged later", "ph", (), {"low": fault("ph", "unplugged")}, {}, "probe unplugged"),
    ("pH input at its end", "ph", (), {ALL: fault("ph", "rail")}, {}, "unplugged"),
    ("an EC probe in the buffer", "ph", (), {"mid": fault("ph", "disturbed")}, {}, "noisy"),
    ("pH circuit gone", "ph", (), {"high": fault("ph", "silent")}, {}, "answers nothing"),
    ("buffers swapped, mid", "ph", (), {}, {"mid": "ph-4"}, "swapped"),
    ("buffers swapped, low", "ph", (), {}, {"low": "ph-10"}, "swapped"),
    ("buffers swapped, high", "ph", (), {}, {"high": "ph-4"}, "swapped"),
    ("the same buffer twice", "ph", (), {}, {"low": "ph-7"}, "same buffer twice"),
    ("pH probe left in air", "ph", (), {}, {"low": "air"}, "still in air"),
    ("an unstable buffer", "ph", (), {}, {"mid": Changing(vessel("ph-7"), "ph", -0.2)}, "drifts"),
    ("no thermometer", "ph", (), {ALL: fault("temp", "open")}, {}, "solution is not known"),
    ("a hot buffer", "ph", (), {}, {"mid": water(temp_c=38.0, ph=6.98)}, "tabled"),
    ("EC probe unplugged", "ec", (), {"low": fault("ec", "open")}, {}, "in air, or its cable open"),
    ("EC probe left in air", "ec", (), {}, {"low": "air"}, "still in air"),
    ("EC probe wet when dry is due", "ec", (), {}, {"dry": "ec-84"}, "not dry"),
    ("a bubble", "ec", (), {"high": fault("ec", "bubble")}, {}, "bubbles"),
    ("a salt bridge", "ec", (), {"low": fault("ec", "short")}, {}, "salt bridge"),
    ("wrong K by a decade", "ec", (), {ALL: fault("ec", "wrong-k")}, {}, "decade"),
    ("K refused", "ec", (), {"before": lose_k}, {}, "K"),
    ("standards swapped", "ec", (), {}, {"low": "ec-1413"}, "swapped"),
    ("standards swapped, high", "ec", (), {}, {"high": "ec-84"}, "swapped"),
    ("fouled electrodes", "ec", (), {ALL: foul("ec", 1.0)}, {}, "cell in"),
    ("an unstable standard", "ec", (), {}, {"low": Changing(vessel("ec-84"), "ec_us_cm", 4.0)}, "drifts"),
    ("depleted DO cell", "do", (), {ALL: fault("do", "depleted")}, {}, "spent electrolyte"),
    ("torn membrane", "do", (), {ALL: fault("do", "torn")}, {}, "torn membrane"),
    ("bubble on the membrane", "do", ("air", "zero"), {"zero": fault("do", "bubble")}, {}, "bubble"),
    ("DO probe unplugged", "do", (), {ALL: fault("do", "unplugged")}, {}, "probe unplugged"),
    ("DO wire open", "do", (), {ALL: fault("do", "floating")}, {}, "no signal"),
    ("DO not in air", "do", (), {}, {"air": "zero-oxygen"}, "without oxygen"),
    ("sulfite spent", "do", ("air", "zero"), {}, {"zero": "air"}, "sulfite is spent"),
    ("no flow past the membrane", "do", (), {"check": fault("do", "stagnant")}, {}, "no flow"),
    ("TDS probe unplugged", "tds", (), {ALL: fault("tds", "unplugged")}, {}, "probe in air, unplugged"),
    ("TDS pins bridged", "tds", (), {ALL: fault("tds", "short")}, {}, "bridged"),
    ("TDS bubbles", "tds", (), {ALL: fault("tds", "bubble")}, {}, "bubbles"),
    ("EC probe beside it", "tds", (), {ALL: fault("tds", "coupled")}, {}, "EC probe close by"),
    ("weak standard", "tds", (), {}, {"1413": "ec-84"}, "standard"),
    ("strong standard", "tds", (), {}, {"1413": "ec-12880"}, "stronger standard"),
    ("lens covered", "tbd", (), {ALL: fault("tbd", "covered")}, {}, "lens covered"),
    ("fouled turbidity", "tbd", (), {ALL: foul("tbd", 0.8)}, {}, "fouled"),
    ("bubbles in the beam", "tbd", (), {ALL: fault("tbd", "bubble")}, {}, "bubbles or daylight"),
    ("daylight", "tbd", (), {ALL: fault("tbd", "daylight")}, {}, "bubbles or daylight"),
    ("turbidity unplugged", "tbd", (), {ALL: fault("tbd", "unplugged")}, {}, "no signal"),
    ("muddy for clear water", "tbd", (), {}, {"clear": "formazin-2500"}, "not clear water"),
    (
        "dilutions swapped", "tbd", ("clear", "100", "400", "800"), {}, {"formazin-400": "formazin-100"},
        "dilutions swapped",
    ),
    ("shifted zero", "wp", (), {ALL: drift_zero}, {}, "output in open air"),
    ("pressure unplugged", "wp", (), {ALL: fault("wp", "open")}, {}, "no signal"),
    ("pressure shorted", "wp", (), {ALL: fault("wp", "short")}, {}, "upper end"),
    ("port blocked", "wp", ("0", "2"), {"depth-2": fault("wp", "blocked")}, {}, "port blocked"),
    ("rotor jammed", "wf", (), {ALL: fault("wf", "stuck")}, {}, "no pulse"),
    ("electrical noise", "wf", (), {ALL: fault("wf", "noise")}, {}, "electrical noise"),
    ("weed on the rotor", "wf", (), {ALL: fault("wf", "debris")}, {}, "debris"),
    ("weed in one run", "wf", (), {"flow-20": fault("wf", "debris")}, {}, "spread"),
    ("the same flow again", "wf", (), {}, {"flow-10": "flow-3"}, "runs must differ"),
    ("temperature unplugged", "temp", (), {ALL: fault("temp", "open")}, {}, "no signal"),
    ("bus shorted", "temp", (), {ALL: fault("temp", "short")}, {}, "no signal"),
    ("counterfeit part", "temp", (), {ALL: fault("temp", "counterfeit")}, {}, "genuine"),
    ("not in the ice", "temp", (), {}, {"ice": "bath"}, "not in the ice bath"),
    ("bath warms up", "temp", (), {}, {"reference": Changing(water(temp_c=22.0), "temp_c", 0.8)}, "stirred"),
    ("switch unplugged", "liqlev", (), {ALL: fault("liqlev", "unplugged")}, {}, "unplugged"),
    ("switch stuck", "liqlev", (), {ALL: fault("liqlev", "stuck")}, {}, "film"),
    ("switch flickers", "liqlev", (), {ALL: fault("liqlev", "flicker")}, {}, "flickers"),
]  # fmt: skip


def whole(board, key):
    """All that makes the calibration of a sensor."""
    part = board.bench.part(key)
    numbers = part._calibration_numbers() if key in ("ph", "ec") else []
    numbers = [float(f"{number:.5g}") for number in numbers]  # an export carries single precision
    return board.request("get")["sensors"][key], numbers


@pytest.mark.parametrize(
    ("key", "points", "mischief", "swap", "said"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_it_is_refused_and_the_old_calibration_stays(key, points, mischief, swap, said):
    board = SimulatedBoard(calibrated=True)
    technician = Technician(board, swap=swap)
    if "before" in mischief:
        mischief["before"](board, 1)
    before = whole(board, key)
    for step, act in list(mischief.items()):
        if step is ALL:
            technician.mischief = _at_first(act)
        else:
            technician.mischief[step] = act
    result, record = calibrate(board, key, technician, points=points)
    text = "\n".join([result.reason, *technician.reasons])
    assert result.outcome in ("failed", "interrupted"), text
    assert said in text
    assert not record.in_force
    board.bench.clear()
    board.run(10.0)
    assert whole(board, key) == before
    assert "calibration" not in board.request("get") or key not in board.request("get")["calibration"]


class _at_first(dict):
    """Does its mischief at whatever step comes first."""

    def __init__(self, act):
        super().__init__()
        self.act = act
        self.done = False

    def get(self, _name, default=None):
        if self.done:
            return default
        self.done = True
        return self.act


@pytest.mark.parametrize(
    ("key", "step", "order"),
    [("ph", "low", "keep restore"), ("ec", "high", "keep restore"), ("do", "check", "calibrate revert")],
)
def test_the_old_calibration_is_put_back_at_once_and_not_only_at_the_next_start(key, step, order):
    board = SimulatedBoard(calibrated=True)
    spoil = {"ph": fault("ph", "unplugged"), "ec": fault("ec", "open"), "do": fault("do", "stagnant")}[key]
    result, _ = calibrate(board, key, Technician(board, mischief={step: spoil}))
    assert result.outcome == "failed"
    assert order in board.requests[: board.requests.index("maintenance", 5)]


def test_a_refused_point_can_be_repeated_in_the_right_bottle():
    board = SimulatedBoard()
    technician = Technician(board, swap={("low", 1): "ph-10"}, refuse=("repeat", "abort"))
    result, record = calibrate(board, "ph", technician)
    assert result.outcome == "passed", result.reason
    assert any("swapped" in reason for reason in technician.reasons)
    low = next(point for point in record.points if point.name == "low")
    assert low.attempt == 2
    assert record.rejected[0]["step"] == "low"


def test_a_probe_that_is_plugged_in_again_goes_on():
    board = SimulatedBoard()

    def act(board, attempt):
        if attempt == 1:
            board.bench.inject("wp", "open")
        else:
            board.bench.clear("wp")

    technician = Technician(board, refuse=("repeat", "abort"), mischief={"zero": act})
    result, _ = calibrate(board, "wp", technician)
    assert result.outcome == "passed", result.reason


def test_wrong_litres_are_noticed():
    board = SimulatedBoard()
    result, _ = calibrate(board, "wf", Technician(board, numbers={"litres": 25.0}))
    assert result.outcome == "failed"
    assert "off by half or double" in result.reason


def test_a_sensor_that_is_not_fitted_is_refused():
    board = SimulatedBoard(sensors={"ph": {"mode": "counter"}, "temp": {"mode": "hardware"}})
    result, _ = calibrate(board, "ph")
    assert result.outcome == "interrupted"
    assert "`counter`" in result.reason
    assert isinstance(result.error, BoardError)
