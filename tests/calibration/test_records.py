"""Records, certificates, exports: evidence that can be read, printed and trusted."""

import csv
import io
import json

import pytest
from bench_world import SimulatedBoard, Technician, calibrate

from buoyfleet.calibration.certificate.content import certificate_of
from buoyfleet.calibration.certificate.write import html, pdf, pictures_of, write_certificate
from buoyfleet.calibration.export import as_csv, as_json, device_calibration
from buoyfleet.calibration.record import RecordWriter, read_record
from buoyfleet.model.errors import PreflightError, UsageError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ph_record():
    """A pH calibration that passed."""
    result, record = calibrate(SimulatedBoard(calibrated=True), "ph")
    assert result.outcome == "passed", result.reason
    return record


def test_every_sample_of_every_point_is_in_the_record(ph_record):
    assert [point.name for point in ph_record.points] == ["mid", "low", "high", "check"]
    for point in ph_record.points:
        assert len(point.samples) >= 50
        assert point.samples[-1].t_s == pytest.approx(point.plateau.elapsed_s)
        assert all(sample.temperature_c is not None for sample in point.samples)
    assert ph_record.before["circuit"]["export"]
    assert ph_record.before["circuit"]["slope"] != ph_record.after["circuit"]["slope"]
    assert ph_record.outcome == "passed"
    assert ph_record.broken == ""


def test_what_was_found_is_read_back_as_it_was(ph_record):
    fitted = ph_record.fitted
    assert fitted.verdict == "pass"
    assert fitted.uncertainty == pytest.approx(2 * fitted.standard_uncertainty)
    assert {check.name for check in fitted.checks} >= {"zero offset", "slope, acid side"}


def lines_of(record):
    return record.path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("number", [0, 40, -3])
def test_a_changed_line_is_noticed(ph_record, number):
    lines = lines_of(ph_record)
    body = json.loads(lines[number])
    body["time"] = "2020-01-01T00:00:00.000+00:00"
    lines[number] = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    ph_record.path.write_bytes(b"".join(lines))
    assert "does not follow" in read_record(ph_record.path).broken


def test_a_line_that_was_taken_out_is_noticed(ph_record):
    lines = lines_of(ph_record)
    del lines[30]
    ph_record.path.write_bytes(b"".join(lines))
    damaged = read_record(ph_record.path)
    assert "does not follow" in damaged.broken
    assert any("RECORD WAS CHANGED" in remark for remark in certificate_of(damaged).remarks)


@pytest.mark.parametrize("keep", [1, 5, 60, 200])
def test_a_record_that_broke_off_is_readable(ph_record, keep):
    lines = lines_of(ph_record)
    ph_record.path.write_bytes(b"".join(lines[:keep]) + lines[keep][:20])
    rest = read_record(ph_record.path)
    assert rest.outcome is None
    assert not rest.in_force
    assert "broke off" in certificate_of(rest).sentence
    assert "broke off" in html(rest, [])


def test_a_record_is_never_written_over(tmp_path):
    folder = tmp_path / "one"
    with RecordWriter(folder):
        pass
    with pytest.raises(PreflightError, match="cannot be written"):
        RecordWriter(folder)


@pytest.mark.parametrize("lines", [3, 40, 200])
def test_a_full_disk_interrupts_and_the_old_calibration_is_back(monkeypatch, lines):
    board = SimulatedBoard(calibrated=True)
    before = board.request("get")["sensors"]["ph"], board.bench.part("ph")._calibration_numbers()[1]
    event = RecordWriter.event

    def full(self, kind, time, **content):
        if self._n >= lines:
            raise PreflightError("the record cannot be written: no space left on device")
        event(self, kind, time, **content)

    monkeypatch.setattr(RecordWriter, "event", full)
    result, _ = calibrate(board, "ph")
    assert result.outcome == "interrupted"
    assert "no space" in str(result.error)
    after = board.request("get")["sensors"]["ph"], board.bench.part("ph")._calibration_numbers()[1]
    assert after[0] == before[0]
    assert after[1] == pytest.approx(before[1], abs=1e-5)
    assert "keep restore" in board.requests[-12:]


def test_something_else_is_no_record(tmp_path):
    (tmp_path / "record.jsonl").write_text('{"kind":"begin","schema":99,"chain":"x"}\n')
    with pytest.raises(UsageError, match="version"):
        read_record(tmp_path)
    with pytest.raises(UsageError, match="no record"):
        read_record(tmp_path / "nowhere")


def test_the_certificate_has_curves_residuals_and_figures_in_both_forms(ph_record):
    files = write_certificate(ph_record.path.parent)
    page = files.html.read_text()
    for words in (
        "pH 10.01 buffer (high)",
        "slope, acid side",
        "Uncertainty budget",
        "k = 2",
        "Foxboro",
        "as found",
    ):
        assert words in page
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert files.pdf.read_bytes().startswith(b"%PDF-1.")


def named(certificate, title):
    """The table with a title."""
    return next(table for table in certificate.tables if table.title == title)


def test_laboratory_due_date_and_operator_are_on_the_certificate(ph_record):
    ph_record.begin.update(
        operator="M. Lee",
        due_after_days=180.0,
        laboratory={"name": "River <Lab>", "address": "Quay 3", "logo": "data:image/png;base64,AAAA"},
    )
    page = html(ph_record, [])
    assert "River &lt;Lab&gt;" in page
    assert 'src="data:image/png;base64,AAAA"' in page
    assert "2027-05-25" in page
    assert "M. Lee, date, signature" in page
    assert "every point was taken at the first attempt" in page
    assert pdf(ph_record, []).startswith(b"%PDF")


def test_what_was_refused_and_repeated_is_on_the_certificate():
    board = SimulatedBoard(calibrated=True)
    technician = Technician(board, swap={("mid", 1): "ph-4"}, refuse=("repeat", "abort"))
    _, record = calibrate(board, "ph", technician)
    rows = named(certificate_of(record), "Refused, skipped and repeated").rows
    assert any("swapped" in what for _, what in rows)
    assert any("attempt 2" in what for _, what in rows)


def test_a_calibration_that_does_not_hold_has_no_due_date():
    board = SimulatedBoard(calibrated=True)
    board.bench.inject("ph", "offset")
    _, record = calibrate(board, "ph")
    assert ("Next due", "now: this calibration is not in force") in named(
        certificate_of(record), "What was calibrated"
    ).rows


def test_there_is_a_fit_plot_only_where_a_line_was_fitted():
    _, states = calibrate(SimulatedBoard(), "liqlev")
    _, single = calibrate(SimulatedBoard(calibrated=True), "ph", points=("7",))
    assert [title for title, _ in pictures_of(states)] == ["Signals"]
    assert [title for title, _ in pictures_of(single)] == ["Signals"]


def check_certificate(key):
    _, record = calibrate(SimulatedBoard(), key)
    pictures = pictures_of(record)
    assert "passed" in html(record, pictures)
    assert len(pdf(record, pictures)) > 5000


@pytest.mark.parametrize("key", ["tbd", "wf", "liqlev"])
def test_sensors_of_every_sort_have_a_certificate(key):
    check_certificate(key)


@pytest.mark.soak
@pytest.mark.parametrize("key", ["temp", "ec", "do", "tds", "wp"])
def test_the_other_sensors_have_a_certificate_too(key):
    check_certificate(key)


def test_names_from_outside_cannot_change_the_page():
    _, record = calibrate(SimulatedBoard(), "liqlev")
    record.begin["operator"] = "<script>alert(1)</script>\u202e"
    record.begin["probe"] = "$\\frac{1}{0}$ & <b>"
    page = html(record, [])
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert pdf(record, []).startswith(b"%PDF")


def test_a_forced_point_is_marked_on_the_certificate():
    board = SimulatedBoard()
    technician = Technician(
        board, refuse=("force",), mischief={"clear": lambda board, _: board.bench.inject("tbd", "daylight")}
    )
    technician.mischief["check"] = lambda board, _: board.bench.clear()
    result, record = calibrate(board, "tbd", technician, force=True)
    assert any("not stable" in reason for reason in technician.reasons)
    point = record.points[0]
    assert point.forced
    certificate = certificate_of(record)
    assert "(forced)" in named(certificate, "Points").rows[0][0]
    assert any("by --force" in remark for remark in certificate.remarks)
    assert result.outcome == "failed"  # daylight in clear water: it reads wrong afterwards, and that is said
    assert record.in_force


def test_without_force_an_unstable_point_cannot_be_taken():
    board = SimulatedBoard()
    technician = Technician(
        board,
        refuse=("force", "force", "abort"),
        mischief={"clear": lambda board, _: board.bench.inject("tbd", "daylight")},
    )
    result, record = calibrate(board, "tbd", technician)
    assert len(technician.reasons) == 3
    assert all("not stable" in reason for reason in technician.reasons)
    assert result.outcome == "failed"
    assert record.points == []


def test_a_failing_calibration_is_written_only_by_force():
    board = SimulatedBoard(calibrated=True)
    board.bench.inject("ph", "offset")
    refused, _ = calibrate(board, "ph")
    assert refused.outcome == "failed"
    forced, record = calibrate(board, "ph", force=True)
    assert forced.outcome == "failed"
    assert record.in_force
    assert "written by --force" in certificate_of(record).sentence
    assert board.request("get")["calibration"]["ph"]["record"] == record.identifier


def test_what_no_driver_takes_is_not_written_even_by_force():
    board = SimulatedBoard()
    board.bench.inject("do", "depleted")
    result, record = calibrate(board, "do", force=True)
    assert result.outcome == "failed"
    assert "no working part" in result.reason
    assert not record.written


def test_json_and_csv_hold_what_the_record_holds(ph_record):
    document = json.loads(as_json(ph_record))
    assert document["outcome"] == "passed"
    assert document["fitted"]["unit"] == "pH"
    assert len(document["points"]) == 4
    rows = list(csv.DictReader(io.StringIO(as_csv(ph_record))))
    assert len(rows) == sum(len(point.samples) for point in ph_record.points)
    assert {row["point"] for row in rows} == {"mid", "low", "high", "check"}


def test_the_device_item_has_references_and_signals_of_the_fitted_points(ph_record):
    item = device_calibration(ph_record)
    assert item["dateLastCalibrated"] == "2026-11-26"
    assert [round(float(value), 2) for value in item["physicalValue"]] == [7.02, 4.0, 10.05]
    assert len(item["digitalValue"]) == 3
