"""junit.xml keeps to the schema that CI systems read, and counts what it holds."""

from xml.etree import ElementTree

import pytest
import run_results
from junit_schema import violations

from host.report.junit import junit


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
    assert sizes == {"run": 1, "boards": 30, "stores": 2, "thresholds": 4}
    assert failed(root) == {}


def test_what_failed_in_the_run_fails_here():
    found = failed(parsed(run_results.lost()))
    assert set(found) == {
        "run of original",
        "board 112 (virtual)",
        "board 120 (esp32)",
        "store timestream",
        "store s3",
        "threshold s3.missing == 0",
    }
    assert found["store s3"] == "2,700 missing, 1 unexpected of 27,000 measures"
    assert found["threshold s3.missing == 0"] == "measured: 2,700 measures"


def test_an_interrupted_run_is_not_green():
    assert "run of original" in failed(parsed(run_results.interrupted()))


def test_redelivered_and_late_copies_alone_fail_no_store():
    result = run_results.passed()
    result.stores[0].redelivered, result.stores[0].late = 5, 5
    assert failed(parsed(result)) == {}
