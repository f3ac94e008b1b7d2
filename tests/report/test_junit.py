"""junit.xml keeps to the schema that CI systems read, and counts what it holds."""

from xml.etree import ElementTree

import pytest
import run_results
from junit_schema import violations

from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.report.junit import junit


def parsed(result) -> ElementTree.Element:
    return ElementTree.fromstring(junit(result))


def failed(root: ElementTree.Element) -> dict[str, str]:
    return {
        case.get("name"): failure.get("message")
        for case in root.iter("testcase")
        for failure in case.iter("failure")
    }


@pytest.mark.parametrize(
    "make",
    [
        run_results.passed,
        run_results.lost,
        run_results.interrupted,
        run_results.original,
        run_results.thousand,
        run_results.hostile,
    ],
)
def test_the_document_is_valid(make):
    assert violations(parsed(make())) == []


def test_the_schema_check_sees_mistakes():
    root = parsed(run_results.lost())
    case = next(root.iter("testcase"))
    case.set("colour", "red")
    del case.attrib["name"]
    ElementTree.SubElement(root.find("testsuite"), "properties")
    root.find("testsuite").set("tests", "999")
    assert len(violations(root)) == 4


def test_a_passed_run_has_a_case_per_board_store_and_threshold():
    root = parsed(run_results.passed())
    sizes = {suite.get("name"): len(suite.findall("testcase")) for suite in root}
    assert sizes == {"run": 1, "causes": 0, "boards": 30, "stores": 2, "thresholds": 4}
    assert failed(root) == {}


def skipped(root: ElementTree.Element) -> dict[str, str]:
    return {
        case.get("name"): one.get("message") for case in root.iter("testcase") for one in case.iter("skipped")
    }


def test_one_cause_is_one_failure_and_what_follows_from_it_is_skipped():
    result = run_results.lost()
    result.boards[5].state, result.boards[5].errors = "affected", ["90 measures missing in s3"]
    root = parsed(result)
    # Two boards failed for reasons of their own.
    assert set(failed(root)) == {
        "lambda: timeout",
        "timestream: altered",
        "board 112 (virtual)",
        "board 120 (esp32)",
    }
    follows = skipped(root)
    assert set(follows) == {
        "run of original",
        "board 105 (virtual)",
        "store timestream",
        "store s3",
        "threshold s3.missing == 0",
    }
    assert follows["store s3"].startswith("2,700 missing, 1 unexpected: ")


def test_a_run_that_did_not_pass_is_never_green():
    result = run_results.passed()
    result.outcome = run_results.outcome(ExitCode.VERDICT_FAILED, "Data was lost or changed.")
    assert set(failed(parsed(result))) == {"run of original"}


def test_an_interrupted_run_is_not_green():
    assert "run of original" in failed(parsed(run_results.interrupted()))


def test_redelivered_and_late_copies_alone_fail_no_store():
    result = run_results.passed()
    result.stores[0].redelivered, result.stores[0].late = 5, 5
    assert failed(parsed(result)) == {}
