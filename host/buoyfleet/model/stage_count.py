"""Counters of the stages between a board and a store, apart from the schemas: pyarrow is dear to import."""

from dataclasses import dataclass, field

EVIDENCE_FOLDER = "evidence"
"""In the run's folder."""
STAGES = "stages.json"
"""In the run's `evidence/`: the list of all stages."""


@dataclass(slots=True)
class StageCount:
    """What went in and out of one stage during a run."""

    name: str
    """broker, rules, timestream, kinesis, firehose, lambda, s3."""
    unit: str
    """What is counted: messages, records, measures or batches."""
    entered: int = 0
    left: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """By reason."""
    waiting: int = 0
    """Still in a buffer of the stage."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Under the CloudWatch names, e.g. `AWS/IoT PublishIn.Success`."""
    simulated_s: float = 0.0
    """Time by the stage's own clock, where the run hurried it."""
    wall_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    """Log lines worth quoting."""
