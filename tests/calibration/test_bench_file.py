"""calibration.yaml: mistakes with their lines, bottles that may be used, limits and rules of a bench."""

from datetime import date
from pathlib import Path

import pytest

from buoyfleet.calibration.config import choose_lots, load_config
from buoyfleet.calibration.limits import Limits
from buoyfleet.calibration.procedures import PROCEDURES
from buoyfleet.model.errors import ConfigurationError, UsageError

TODAY = date(2026, 11, 26)
GOOD = """\
operator: M. Lee
records: shelf/calibrations
instruments:
  thermometer: TLC 700 no 12, due 2027-03
solutions:
  - {lot: B7, kind: ph-7, expires: 2027-03-31, opened: 2026-11-01, maker: Hanna}
  - {lot: B4, kind: ph-4, expires: 2027-03-31, tolerance: 0.01}
  - {lot: OLD, kind: ph-10, expires: 2026-01-31}
stability:
  ph: {window: 20 s, drift_per_min: 2.0, min: 30 s}
acceptance:
  ph.slope_acid: {pass: [92, 105], warn: [85, 110]}
intervals:
  ph: 30 d
plan:
  move: [arm, "{vessel}"]
  sensors:
    ph: {points: "4,7"}
    do: {values: {barometer: 1009}}
    wf: {seconds: {flow-3: 200 s}, values: {litres: [scale, --read]}}
"""


def load(tmp_path, text):
    file = tmp_path / "calibration.yaml"
    file.write_text(text)
    return load_config(file)


def test_a_bench_without_a_file_has_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(None).source == "built-in defaults"


def test_everything_a_bench_can_say(tmp_path):
    config = load(tmp_path, GOOD)
    assert config.operator == "M. Lee"
    rule = config.rules["ph"]
    assert (rule.window_s, rule.min_s, rule.drift_per_min, rule.noise) == (
        20,
        30,
        2.0,
        PROCEDURES["ph"].rule.noise,
    )
    assert Limits(config.bands).check("ph.slope_acid", 88.0).verdict == "warn"
    assert Limits().check("ph.slope_acid", 88.0).verdict == "fail"
    assert config.intervals["ph"] == 30
    assert config.intervals["do"] == 30
    assert config.plan.sensors["wf"].seconds == {"flow-3": 200.0}
    assert config.lots[1].tolerance == 0.01


MISTAKES = [
    ("operater: x\n", 1, "did you mean `operator`"),
    ("solutions:\n  - {lot: a, kind: ph-8}\n", 2, "one of ph-4"),
    ("solutions:\n  - {lot: a, kind: ph-7, expires: next year}\n", 2, "a date as"),
    ("solutions:\n  - {lot: a, kind: ph-7}\n  - {lot: a, kind: ph-4}\n", 3, "stands twice"),
    ("stability:\n  ph: {window: 30}\n", 2, "no unit"),
    ("stability:\n  ph: {windw: 30 s}\n", 2, "did you mean `window`"),
    ("stability:\n  hp: {window: 30 s}\n", 2, "unknown sensor 'hp'; one of temp, ph"),
    ("stability:\n  ph: {window: 400 s}\n", 2, "shorter"),
    ("acceptance:\n  ph.slope: {pass: [90, 100]}\n", 2, "did you mean `ph.slope_base`"),
    ("acceptance:\n  ph.zero: {pass: [10, -10]}\n", 2, "low come before high"),
    ("acceptance:\n  ph.zero: {pass: [-10, 10], warn: [-5, 5]}\n", 2, "at least as far"),
    ("intervals: {ph: 30 days}\n", 1, "d"),
    ("plan:\n  sensors:\n    xy: {}\n", 3, "unknown sensor 'xy'"),
    ("- a\n", 1, "no mapping"),
    ("plan: {attempts: 0}\n", 1, "0 is too small; write a whole number from 1 to 10"),
]


@pytest.mark.parametrize(("text", "line", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path, text, line, said):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert caught.value.problems[0].line == line


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, "operater: x\nstability:\n  ph: {window: 30}\nintervals: {ph: 3}\n")
    assert [problem.line for problem in caught.value.problems] == [1, 3, 4]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_config(tmp_path / "no.yaml")


def choose(tmp_path, kinds, chosen=(), force=False, text=GOOD):
    return choose_lots(load(tmp_path, text), kinds, list(chosen), TODAY, force)


def test_the_only_good_bottle_of_a_kind_is_taken(tmp_path):
    assert choose(tmp_path, ["ph-7", "ph-4"])["ph-7"].lot == "B7"
    assert choose(tmp_path, ["ec-84"]) == {}


def test_an_expired_bottle_is_refused_unless_forced(tmp_path):
    with pytest.raises(UsageError, match=r"OLD .* expired on 2026-01-31"):
        choose(tmp_path, ["ph-7", "ph-10"])
    with pytest.raises(UsageError, match="expired"):
        choose(tmp_path, ["ph-10"], ["OLD"])
    assert choose(tmp_path, ["ph-10"], ["OLD"], force=True)["ph-10"].lot == "OLD"


def test_a_bottle_that_was_opened_too_long_ago_is_refused(tmp_path):
    text = "solutions:\n  - {lot: A, kind: ec-84, expires: 2028-01-01, opened: 2026-06-01}\n"
    with pytest.raises(UsageError, match="keeps 90 days once open"):
        choose(tmp_path, ["ec-84"], text=text)
    future = "solutions:\n  - {lot: A, kind: ec-84, opened: 2027-06-01}\n"
    with pytest.raises(UsageError, match="in the future"):
        choose(tmp_path, ["ec-84"], text=future)


def test_two_good_bottles_must_be_chosen_from(tmp_path):
    text = "solutions:\n  - {lot: A, kind: ph-7}\n  - {lot: B, kind: ph-7}\n"
    with pytest.raises(UsageError, match="A, B are all ph-7"):
        choose(tmp_path, ["ph-7"], text=text)
    assert choose(tmp_path, ["ph-7"], ["B"], text=text)["ph-7"].lot == "B"
    with pytest.raises(UsageError, match="both ph-7"):
        choose(tmp_path, ["ph-7"], ["A", "B"], text=text)


def test_an_unknown_lot_is_told(tmp_path):
    with pytest.raises(UsageError, match="lot X is not in"):
        choose(tmp_path, ["ph-7"], ["X"])


def test_the_logo_of_the_laboratory_is_read_or_refused_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("logo.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    Path("calibration.yaml").write_text("laboratory: {name: River Lab, logo: logo.png}\n")
    laboratory = load_config(None).laboratory
    assert laboratory["name"] == "River Lab"
    assert laboratory["logo"].startswith("data:image/png;base64,")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert load_config(tmp_path / "calibration.yaml").laboratory == laboratory, "beside the file"
    monkeypatch.chdir(tmp_path)
    for logo, said in (("nowhere.png", "cannot be read"), ("calibration.yaml", "neither PNG nor JPEG")):
        Path("calibration.yaml").write_text(f"operator: X\nlaboratory: {{logo: {logo}}}\n")
        with pytest.raises(ConfigurationError, match=said) as refused:
            load_config(None)
        assert "calibration.yaml:2" in str(refused.value)
