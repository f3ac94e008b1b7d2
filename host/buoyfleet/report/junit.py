"""junit.xml, as CI systems read it: a test case per board, store and threshold, and one per cause.

One cause is one failure. What follows from a cause (boards affected, a store with losses, a threshold missed
for that) is skipped, with the cause in the message.

Elements and attributes keep to the Ant/Jenkins schema (testsuites, testsuite, properties, testcase, failure).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.result import BoardResult, Diagnosis, Result, StoreResult, ThresholdResult
from buoyfleet.model.thresholds import BOARD_METRICS, FAULTS, STORES
from buoyfleet.report import figures
from buoyfleet.report.files import printable
from buoyfleet.report.verdict import headline, store_faults

FILE_NAME = "junit.xml"


@dataclass(frozen=True, slots=True)
class Case:
    """One test case; without a failure it passed."""

    name: str
    failure: str = ""
    """One line."""
    kind: str = ""
    detail: str = ""
    skipped: str = ""
    """Follows from a cause that is a failure of its own."""


Causes = dict[tuple[str, str], Case]
"""By stage and cause."""


def junit(result: Result) -> bytes:
    """The document, UTF-8 with declaration."""
    causes = _cause_cases(result)
    suites: dict[str, list[Case]] = {
        "run": [],
        "causes": list(causes.values()),
        "boards": [_board_case(board, causes) for board in result.boards],
        "stores": [_store_case(store, result) for store in result.stores],
        "thresholds": [_threshold_case(threshold, causes) for threshold in result.thresholds],
    }
    suites["run"] = [_run_case(result, any(case.failure for some in suites.values() for case in some))]
    run = result.run
    duration_s = f"{(run.ended_ns - run.started_ns) / 1e9:.3f}"
    cases = [case for some in suites.values() for case in some]
    attributes = {"name": printable(f"buoy {run.fleet}"), "time": duration_s, **_sums(cases)}
    root = ElementTree.Element("testsuites", attributes)
    for index, (name, some) in enumerate(suites.items()):
        attributes = {
            "name": name,
            "id": str(index),
            "package": "buoyfleet",
            "hostname": "localhost",
            "timestamp": f"{datetime.fromtimestamp(run.started_ns / 1e9, UTC):%Y-%m-%dT%H:%M:%S}",
            "time": duration_s if name == "run" else "0",
            "skipped": str(sum(bool(case.skipped) for case in some)),
            **_sums(some),
        }
        suite = ElementTree.SubElement(root, "testsuite", attributes)
        if name == "run":
            _properties(suite, result)
        for case in some:
            _add_case(suite, f"buoyfleet.{name}", case)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _sums(cases: list[Case]) -> dict[str, str]:
    failures = sum(bool(case.failure) for case in cases)
    return {"tests": str(len(cases)), "failures": str(failures), "errors": "0"}


def _properties(suite: ElementTree.Element, result: Result) -> None:
    run = result.run
    facts = {
        "run_id": run.run_id,
        "fleet": run.fleet,
        "target": run.target,
        "seed": run.seed,
        "payload": run.payload,
        "qos": run.qos,
        "tool_version": run.tool_version,
        "exit_code": result.outcome.exit_code,
    }
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", name=name, value=printable(str(value)))


def _add_case(suite: ElementTree.Element, class_name: str, case: Case) -> None:
    element = ElementTree.SubElement(
        suite, "testcase", name=printable(case.name), classname=class_name, time="0"
    )
    if case.skipped:
        ElementTree.SubElement(element, "skipped", message=printable(case.skipped))
    elif case.failure:
        failure = ElementTree.SubElement(
            element, "failure", message=printable(case.failure), type=printable(case.kind)
        )
        failure.text = "\n".join(printable(line) for line in (case.detail or case.failure).split("\n"))


def _run_case(result: Result, explained: bool) -> Case:
    """Fails where no other case does, so that a run that did not pass is never green."""
    top = headline(result)
    name = f"run of {result.run.fleet}"
    if result.outcome.exit_code == ExitCode.OK:
        return Case(name)
    if explained and not result.run.interrupted:
        return Case(name, skipped=top.sentence)
    detail = [top.sentence, *(f"{diagnosis.sentence} {diagnosis.change}" for diagnosis in result.diagnoses)]
    return Case(name, top.sentence, result.outcome.name, "\n".join(detail))


def _cause_cases(result: Result) -> dict[tuple[str, str], Case]:
    """(stage, cause) → the one case of it, whatever the number of stores and boards."""
    groups: dict[tuple[str, str], list[Diagnosis]] = {}
    if result.outcome.exit_code != ExitCode.OK:
        for diagnosis in result.diagnoses:
            if diagnosis.kind not in _HARMLESS:
                groups.setdefault((diagnosis.stage, diagnosis.cause), []).append(diagnosis)
    return {
        (stage, cause): Case(
            f"{stage or 'somewhere'}: {cause}",
            some[0].sentence,
            cause,
            "\n".join(f"{diagnosis.sentence} {diagnosis.change}" for diagnosis in some),
        )
        for (stage, cause), some in groups.items()
    }


# Metrics that say no more than causes do.
_FOLLOWING = (
    "send.dropped",
    *BOARD_METRICS,
    *(f"{store}.{fault}" for store in STORES for fault in FAULTS),
)
# Stages at which a cause is the boards' own.
_BEFORE_THE_TARGET = ("", "board", "broker", "subscriber")
# Judged by thresholds alone.
_HARMLESS = ("late", "late-send", "withheld")


def _board_case(board: BoardResult, causes: Causes) -> Case:
    name = f"board {board.buoy_id} ({board.kind})"
    if board.state == "passed":
        return Case(name)
    own = any(stage in _BEFORE_THE_TARGET for stage, _ in causes)
    if board.state == "affected" or (own and not board.failed_itself):
        return Case(name, skipped=f"{board.state}: {'; '.join(board.errors)}")
    answered = "" if board.acknowledged is None else f"acknowledged {board.acknowledged}, "
    counts = (
        f"planned {board.planned}, sent {board.sent}, {answered}dropped {board.dropped}, "
        f"sent late {board.late_sends}, reconnects {board.reconnects}"
    )
    return Case(
        name, board.errors[0] if board.errors else counts, board.state, "\n".join([*board.errors, counts])
    )


def _store_case(store: StoreResult, result: Result) -> Case:
    name = f"store {store.name}"
    faults = store_faults(store)
    if not faults:
        return Case(name)
    words = ", ".join(f"{figures.count(number)} {fault}" for fault, number in faults.items())
    causes = [diagnosis.sentence for diagnosis in result.diagnoses if diagnosis.store == store.name]
    if causes:
        return Case(name, skipped=f"{words}: {causes[0]}")
    summary = f"{words} of {figures.plural(store.expected, 'measure')}"
    return Case(name, summary, "-".join(faults), "\n".join([summary, *causes]))


def _threshold_case(threshold: ThresholdResult, causes: Causes) -> Case:
    name = f"threshold {threshold.text}"
    if threshold.passed:
        return Case(name)
    if threshold.metric in _FOLLOWING and causes:
        return Case(name, skipped=f"measured: {figures.measured(threshold.value, threshold.unit)}")
    return Case(name, f"measured: {figures.measured(threshold.value, threshold.unit)}", "threshold")
