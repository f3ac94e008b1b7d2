"""Settings of the twin's own process, as the JSON file that starts it.

    {"folder": "runs/…/twin", "port": 0, "limits": "lifted", "topic_prefix": "aws/0", "payload": "stamped",
     "twin": {"lambda_timeout_s": 60.0, "faults": [{"stage": "s3", "kind": "lost", "messages": [3]}], …}}

Every key but `folder` may be left out; the defaults are AWS's or the source system's, as noted.
"""

import dataclasses
import difflib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from host.cloud.local.broker import Limits
from host.cloud.local.rule_sql import SqlVersion
from host.cloud.local.rules import RuleSpec, default_rules
from host.model.errors import UsageError
from host.model.fleet import FaultSpec, PayloadMode, TwinSpec

LimitMode = Literal["lifted", "aws"]


@dataclass(frozen=True, slots=True)
class TwinConfig:
    """Settings of one twin."""

    folder: str
    """Where it keeps its stores and evidence; made if missing, and must not hold another twin's."""
    host: str = "127.0.0.1"
    """Loopback only."""
    port: int = 0
    """MQTT; 0: any free one."""
    control_port: int = 0
    limits: LimitMode = "lifted"
    """`aws` keeps IoT Core's rates and the shard's; `lifted` does not, so that a flat-out run can pass."""
    topic_prefix: str = "aws/0"
    payload: PayloadMode = "stamped"
    """`stamped`: the Timestream action takes the time from the payload; `original`: that of processing."""
    seed: int = 1
    twin: TwinSpec = field(default_factory=TwinSpec)
    timestream_sql: str = ""
    """Empty: the source system's rule, for `topic_prefix`."""
    timestream_sql_version: SqlVersion = "2015-10-08"
    kinesis_sql: str = ""
    kinesis_sql_version: SqlVersion = "2016-03-23"
    memory_store_h: float = 24.0
    """The source system's table keeps 24 h in memory (AWS's default is 6 h)."""
    timestream_visible_after_s: float = 0.0
    """Eventual consistency: a reader sees a record this much later."""
    shard_records_per_s: float = 1000.0
    """Kinesis Data Streams quotas, per shard."""
    shard_mb_per_s: float = 1.0
    s3_delimiter: str = ""
    """Appended to each record (Firehose processor AppendDelimiterToRecord); empty as in the source system."""
    s3_gzip: bool = False
    lambda_handler: str = ""
    """A Python file with `lambda_handler(event, context)`; empty: `datatransform.py` beside this module."""
    lambda_wall_limit_s: float = 60.0
    """Protection against a handler that hangs; the Lambda timeout acts on the modelled duration instead."""

    def rules(self) -> tuple[RuleSpec, ...]:
        """The rules to run."""
        timestream, kinesis = default_rules(self.topic_prefix, self.payload)
        return (
            dataclasses.replace(
                timestream, sql=self.timestream_sql or timestream.sql, version=self.timestream_sql_version
            ),
            dataclasses.replace(
                kinesis, sql=self.kinesis_sql or kinesis.sql, version=self.kinesis_sql_version
            ),
        )

    @property
    def has_own_rules(self) -> bool:
        """Whether a rule is not the source system's, which is known to be right."""
        return self.rules() != default_rules(self.topic_prefix, self.payload)

    @property
    def buoy_level(self) -> int:
        """Index of the topic level that holds the buoy id, from 0."""
        return self.topic_prefix.count("/") + 1

    @property
    def handler_path(self) -> Path:
        """The Lambda handler's file."""
        return (
            Path(self.lambda_handler) if self.lambda_handler else Path(__file__).with_name("datatransform.py")
        )


def lifted_limits(limits: LimitMode) -> tuple[str, ...]:
    """What `limits` does not hold the run to, for the run's report; empty where everything is held."""
    if limits == "aws":
        return ()
    shard = "records and bytes per second and shard: lifted (Kinesis: 1000 and 1 MB)"
    return (*Limits.lifted().lifted_in_words(), shard)


def to_json(config: TwinConfig) -> str:
    """The file of a configuration."""
    return json.dumps(dataclasses.asdict(config), indent=1)


def load(path: Path) -> TwinConfig:
    """Read a configuration file.

    Raises:
        UsageError: unreadable, not JSON, an unknown key or a value of the wrong type; all mistakes at once.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read: {error.strerror}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=str(path)) from None
    problems: list[str] = []
    config = _build(TwinConfig, document, "", problems)
    if not problems:
        problems += _check(config)
    if problems:
        raise UsageError("; ".join(problems), where=str(path), next_step="see host/cloud/local/config.py")
    assert isinstance(config, TwinConfig)  # _build makes what it was asked for where it found no problem
    return config


def _check(config: Any) -> list[str]:
    problems: list[str] = []
    if config.host not in ("127.0.0.1", "::1", "localhost"):
        problems.append(f"host {config.host!r}: the twin has no authentication and binds to loopback only")
    ports = {"port": config.port, "control_port": config.control_port}
    problems += [f"{name} {port} is no port" for name, port in ports.items() if not 0 <= port <= 65535]
    twin = config.twin
    positive = {
        "shard_records_per_s": config.shard_records_per_s,
        "shard_mb_per_s": config.shard_mb_per_s,
        "lambda_wall_limit_s": config.lambda_wall_limit_s,
        "memory_store_h": config.memory_store_h,
        "twin.kinesis_shards": twin.kinesis_shards,
        "twin.firehose_lambda_buffer_mb": twin.firehose_lambda_buffer_mb,
        "twin.firehose_s3_buffer_mb": twin.firehose_s3_buffer_mb,
        "twin.lambda_timeout_s": twin.lambda_timeout_s,
        "twin.lambda_memory_mb": twin.lambda_memory_mb,
    }
    problems += [f"{name} must be above 0, not {value}" for name, value in positive.items() if not value > 0]
    not_negative = {
        "timestream_visible_after_s": config.timestream_visible_after_s,
        "twin.firehose_lambda_buffer_s": twin.firehose_lambda_buffer_s,
        "twin.firehose_s3_buffer_s": twin.firehose_s3_buffer_s,
        "twin.lambda_cold_start_ms": twin.lambda_cold_start_ms,
        "twin.lambda_per_record_ms": twin.lambda_per_record_ms,
    }
    problems += [
        f"{name} must not be negative ({value})" for name, value in not_negative.items() if value < 0
    ]
    return problems


def _build(kind: type[Any], document: Any, where: str, problems: list[str]) -> Any:
    """A dataclass from a JSON object; mistakes go to `problems`."""
    if not isinstance(document, dict):
        problems.append(f"{where or 'the file'} must be an object, not {type(document).__name__}")
        return None
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in document.items():
        name = f"{where}{key}"
        if key not in hints:
            near = difflib.get_close_matches(key, hints, 1)
            problems.append(f"unknown key {name}" + (f", did you mean {near[0]}?" if near else ""))
        else:
            values[key] = _convert(hints[key], value, name, problems)
    missing = [
        entry.name
        for entry in dataclasses.fields(kind)
        if entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
        and entry.name not in values
    ]
    problems += [f"{where}{name} is missing" for name in missing]
    return None if missing or problems else kind(**values)


def _convert(hint: Any, value: Any, name: str, problems: list[str]) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, f"{name}.", problems)  # type: ignore[arg-type]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple and isinstance(value, list):
        return tuple(
            _convert(arguments[0], entry, f"{name}[{index}]", problems) for index, entry in enumerate(value)
        )
    if origin is Literal:
        if value in arguments:
            return value
        problems.append(f"{name} is {value!r}; allowed: {', '.join(map(str, arguments))}")
        return None
    if type(None) in arguments:
        if value is None:
            return None
        hint = next(argument for argument in arguments if argument is not type(None))
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        wanted = "a list" if origin is tuple else hint.__name__
        problems.append(f"{name} must be {wanted}, not {value!r}")
        return None
    return value


__all__ = ["FaultSpec", "LimitMode", "TwinConfig", "lifted_limits", "load", "to_json"]
