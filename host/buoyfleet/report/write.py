"""All reports of a run, from its result."""

from dataclasses import dataclass
from pathlib import Path

from buoyfleet.model.result import FILE_NAME, Result
from buoyfleet.report.files import write_atomically
from buoyfleet.report.junit import FILE_NAME as JUNIT_NAME
from buoyfleet.report.junit import junit
from buoyfleet.report.terminal import HTML_NAME


@dataclass(frozen=True, slots=True)
class Reports:
    """Where the reports are."""

    result: Path
    html: Path
    junit: Path


def write_reports(result: Result, run_folder: Path) -> Reports:
    """Write result.json, report.html and junit.xml, each complete or not at all, the result first.

    Raises:
        PreflightError: the folder cannot take them (full disk, permission).
    """
    write_atomically(run_folder / FILE_NAME, result_json(result), durable=True)
    return derived_reports(result, run_folder)


def derived_reports(result: Result, run_folder: Path) -> Reports:
    """Write report.html and junit.xml, and leave result.json alone.

    Raises:
        PreflightError: the folder cannot take them.
    """
    from buoyfleet.report.html import html  # jinja2 counts at start-up

    reports = Reports(run_folder / FILE_NAME, run_folder / HTML_NAME, run_folder / JUNIT_NAME)
    write_atomically(reports.junit, junit(result))
    write_atomically(reports.html, html(result).encode())
    return reports


def result_json(result: Result) -> bytes:
    """The bytes of result.json."""
    return result.model_dump_json(indent=1).encode() + b"\n"
