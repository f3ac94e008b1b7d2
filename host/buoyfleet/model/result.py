"""The result of a run: `result.json`, the only source of every report.

Versioned: readers refuse a `schema_version` they do not know. Times are UTC nanoseconds since 1970 unless the
name says otherwise.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Literal[1] = 1
FILE_NAME = "result.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RunInfo(_Part):
    """What was run, where and when."""

    run_id: str
    fleet: str
    fleet_file: str
    target: str
    payload: Literal["stamped", "original"]
    qos: int
    seed: int
    paced: bool
    started_ns: int
    ended_ns: int
    collected_ns: int = 0
    """Host UTC when the stores were read at the end of the run: what was measured later is not the run's.
    0: not told."""
    verified_again_ns: list[int] = []
    """Host UTC of later verifications, by `buoy fetch` or `buoy verify`."""
    interrupted: bool = False
    cut_short: str = ""
    """The phase in which the run's process ended early (buoyfleet.runs.run_state.PHASES), so that
    `buoy verify` gave the verdict; empty: it did not."""
    unrecorded: str = ""
    """Why the target's own records of the run may be incomplete; empty: they are whole."""
    tool_version: str
    python_version: str
    machine: str
    command: str = ""
    limits: list[str] = []
    """Limits of the target that were not AWS's: lifted, or set to another value; a phrase each."""


class Outcome(_Part):
    """How the run ended, in one code and one sentence."""

    exit_code: int
    name: str
    sentence: str
    verdict: Literal["", "passed", "failed", "unproven", "interrupted"] = ""
    """Empty in results of earlier versions."""


class BoardResult(_Part):
    """One board. `unproven` (its ledger is incomplete, or nobody saw its messages) is not success, nor is
    `affected`: it did what it was told, and a stage behind the broker lost or changed its measures."""

    buoy_id: int
    kind: str
    state: Literal["passed", "failed", "unproven", "affected"]
    planned: int
    sent: int
    """Messages that left at least once."""
    acknowledged: int | None
    """None: QoS 0 is never acknowledged."""
    dropped: int
    late_sends: int
    redelivered: int
    """Messages that needed more than one attempt."""
    reconnects: int = 0
    errors: list[str] = Field(default_factory=list)
    failed_itself: str = ""
    """Why it failed whatever its data say; empty: it did not."""
    whole_ledger: bool = True
    """Whether its ledger says all that it sent."""
    incomplete: str = ""
    """Why it does not, where that is not to be seen in the ledger itself: the board did not tell the rest."""
    quoted: list[str] = Field(default_factory=list)
    """Those of the errors that fail nothing by themselves."""
    link_reason: str = ""
    """Of its last trouble with the connection (buoyfleet.model.reasons.LinkReason); empty: it had none."""
    link_detail: str = ""
    ever_connected: bool = True
    left_out: list[tuple[int, list[str]]] = Field(default_factory=list)
    """From which message on a configuration left which keys out; each entry replaces the one before."""
    measures: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Measures found: store → key → count."""
    measures_expected: dict[str, int] = Field(default_factory=dict)
    """Measures of sensors that are on, over all messages sent: key → count."""
    withheld: dict[str, int] = Field(default_factory=dict)
    """Of the expected: measures of which the sensor gave no value. Key → count."""
    ack_p99_ms: float | None = None
    clock_offset_ms: float = 0.0
    clock_uncertainty_ms: float = 0.0
    clock_drift_ppm: float = 0.0


class Latency(_Part):
    """How long something took from the planned time (unpaced: from sending); values that occurred."""

    count: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float | None = None
    """None in results of earlier versions."""
    p99_ms: float
    p999_ms: float
    max_ms: float


class LatencyPoint(_Part):
    """The messages planned in one interval of the run."""

    t_s: float
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class LatencySeries(_Part):
    """Latency over the run; intervals without messages are left out."""

    name: str
    """`acknowledged`, or a store: visible there."""
    interval_s: float
    points: list[LatencyPoint]


class StoreResult(_Part):
    """One store against the ledger, in measures."""

    name: str
    expected: int
    """Sensors that are on x messages sent."""
    withheld: int = 0
    """Of the expected: measures of which the sensor gave no value, so that they were not sent."""
    found: int
    """Expected measures that are there, whatever their value."""
    missing: int
    unproven: int = 0
    """Of the missing: measures that the store could not see, so that nothing says whether they arrived."""
    unread: bool = False
    """The store could not be read: all of it is unproven."""
    duplicated: int
    """Copies that nothing explains."""
    redelivered: int
    """Copies whose ledger shows more than one attempt: QoS 1 is at least once."""
    altered: int
    late: int
    unexpected: int
    """Measures in the run's window that no ledger row explains."""
    late_after_s: float
    latency: Latency | None = None
    """Until the last measure of a message was visible; None: see `latency_words`."""
    latency_words: str = ""
    """Where the times come from, or why there are none."""
    decidable: str = ""
    """What identity could decide, where it is less than everything (`original` payloads)."""


class StageResult(_Part):
    """One stage of the way, as `buoyfleet.model.evidence.StageCount`."""

    name: str
    unit: str
    entered: int
    left: int
    rejected: dict[str, int] = Field(default_factory=dict)
    waiting: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    simulated_s: float = 0.0
    wall_s: float = 0.0
    notes: list[str] = Field(default_factory=list)


class Loss(_Part):
    """One message with something wrong in one store; its measures together."""

    store: str
    kind: Literal["missing", "duplicated", "altered", "late", "unexpected"]
    buoy_id: int
    seq: int | None
    """Number of the message on its board; None where identity cannot tell."""
    timestamp_ms: int | None
    measures: list[str]
    expected: list[str] = Field(default_factory=list)
    """Per measure, as JSON, for `altered`; without identity the value that is wrong."""
    found: list[str] = Field(default_factory=list)
    copies: int = 0
    """For `duplicated`: copies of each measure that the attempts do not explain. Without identity (`seq` and
    `timestamp_ms` are None): how many measures."""
    delay_s: float | None = None
    stage: str = ""
    """First stage at which it is absent, or that changed it."""
    cause: str = ""


class Diagnosis(_Part):
    """Losses of one cause, in one sentence with figures and what to change."""

    store: str
    kind: str
    stage: str
    cause: str
    measures: int
    messages: int
    sentence: str
    change: str


class ThresholdResult(_Part):
    """One threshold with the value that was measured."""

    text: str
    metric: str = ""
    """Of buoyfleet.model.thresholds; empty in results of earlier versions."""
    value: float | None
    """None: nothing to measure, which is not a pass."""
    unit: str
    passed: bool


class RatePoint(_Part):
    """Messages in one interval of the run."""

    t_s: float
    planned: int
    sent: int
    acknowledged: int


class WitnessResult(_Part):
    """An independent subscriber's count. Its shortfall is evidence, never loss by itself."""

    expected: int
    seen: int
    copies: int
    connections: int
    shortfall: int
    note: str = ""


class Result(_Part):
    """Everything a report can say about a run."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run: RunInfo
    outcome: Outcome
    boards: list[BoardResult]
    stores: list[StoreResult]
    stages: list[StageResult]
    losses: list[Loss]
    """At most `buoyfleet.verify` lists; `losses_total` counts all, `losses.parquet` holds all."""
    losses_total: int
    diagnoses: list[Diagnosis]
    thresholds: list[ThresholdResult]
    ack_latency: Latency | None
    rate: list[RatePoint]
    rate_interval_s: float
    latencies: list[LatencySeries] = Field(default_factory=list)
    """Acknowledgement and stores over the run."""
    witness: WitnessResult | None
    phases_s: dict[str, float]
    """Wall time of the run's phases."""
    warnings: list[str] = Field(default_factory=list)
