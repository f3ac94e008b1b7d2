"""Settings of the twin's own process, as the JSON file that starts it.

    {"folder": "runs/…/twin", "port": 0, "limits": "lifted", "topic_prefix": "aws/0", "payload": "stamped",
     "twin": {"lambda_timeout_s": 60.0, "faults": [{"stage": "s3", "kind": "lost", "messages": [3]}], …}}

Every key but `folder` may be left out; the defaults are AWS's or the source system's, as noted. A run that
only writes the file does not import the rules engine.
"""

import dataclasses
import difflib
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from buoyfleet.cloud.local.bucket_layout import BucketLayout, PrefixError
from buoyfleet.model.errors import UsageError
from buoyfleet.model.fleet import FaultSpec, PayloadMode, TwinSpec
from buoyfleet.model.limits import TwinLimits
from buoyfleet.model.twin import RuleSettings

if TYPE_CHECKING:
    from buoyfleet.cloud.local.rules import RuleSpec

LimitMode = Literal["lifted", "aws"]


LOCK_FILE = "twin.lock"
"""In a twin's folder: locked as long as the twin lives."""


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
    alpn_port: int = 0
    """Where there is TLS: what is 443 in AWS. Clients of MQTT name it by ALPN."""
    http_port: int = 0
    """With TLS what is 8443 in AWS, HTTPS with a certificate; without TLS: HTTP and WebSocket."""
    limits: LimitMode = "lifted"
    """`aws` keeps IoT Core's rates and the shard's; `lifted` does not, so that a flat-out run can pass."""
    topic_prefix: str = "aws/0"
    payload: PayloadMode = "stamped"
    """`stamped`: the Timestream action takes the time from the payload; `original`: that of processing."""
    seed: int = 1
    twin: TwinSpec = field(default_factory=TwinSpec)
    lambda_wall_limit_s: float = 60.0
    """Protection against a handler that hangs; the Lambda timeout acts on the modelled duration instead."""

    def rules(self) -> "tuple[RuleSpec, ...]":
        """The rules to run."""
        from buoyfleet.cloud.local.rules import (
            FirehoseAction,
            KinesisAction,
            TimestreamAction,
            default_rules,
            influx_rule,
        )

        timestream, kinesis = default_rules(self.topic_prefix, self.payload)
        twin = self.twin
        own: list[RuleSpec] = []
        if twin.rules:
            from buoyfleet.cloud.local.own_rules import read_rule

            own += map(read_rule, twin.rules)
        fed = {type(action) for rule in own for action in rule.store_actions}
        changed = _changed(timestream, twin.timestream_rule)
        if twin.ingest_rule and all(rule.name != twin.ingest_rule for rule in own):
            # One rule, as a message names one; version 2015-10-08, as Timestream needs it (7.0 stays 7.0).
            actions = (*changed.actions, *kinesis.actions)
            if twin.influxdb is not None:
                actions += influx_rule(changed, self.topic_prefix).actions
            return (dataclasses.replace(changed, name=twin.ingest_rule, actions=actions), *own)
        rules = [] if TimestreamAction in fed else [changed]
        if not fed & {KinesisAction, FirehoseAction}:
            rules.append(_changed(kinesis, twin.kinesis_rule))
        if twin.influxdb is not None:
            rules.append(influx_rule(changed, self.topic_prefix))
        return (*rules, *own)

    @property
    def layout(self) -> BucketLayout:
        """Where objects lie in the bucket.

        Raises:
            PrefixError: a prefix with an expression that is not known.
        """
        rules = (self.twin.timestream_rule, self.twin.kinesis_rule)
        prefixes = [rule.error_action.s3 for rule in rules if rule.error_action is not None]
        return BucketLayout(self.twin.s3_prefix, self.twin.s3_error_prefix, tuple(filter(None, prefixes)))

    def limits_held(self) -> TwinLimits:
        """Every limit that this twin holds its clients to.

        Raises:
            ValueError: a limit that is set does not exist, or cannot have that value.
        """
        return TwinLimits.of(self.limits == "lifted", self.twin.limits)

    @property
    def has_own_rules(self) -> bool:
        """Whether a rule is not the source system's, which is known to be right."""
        settings = {self.twin.timestream_rule, self.twin.kinesis_rule}
        return bool(self.twin.rules) or settings != {RuleSettings()}

    @property
    def buoy_level(self) -> int:
        """Index of the topic level that holds the buoy id, from 0."""
        return self.topic_prefix.count("/") + 1

    @property
    def handler_path(self) -> Path:
        """The Lambda handler's file."""
        handler = self.twin.lambda_handler
        return Path(handler) if handler else Path(__file__).with_name("datatransform.py")


def _changed(rule: "RuleSpec", settings: RuleSettings) -> "RuleSpec":
    from buoyfleet.cloud.local.rules import TimestreamAction

    actions = tuple(
        dataclasses.replace(one, timestamp=settings.timestamp, timestamp_unit=settings.timestamp_unit)
        if isinstance(one, TimestreamAction) and settings.timestamp
        else one
        for one in rule.actions
    )
    return dataclasses.replace(
        rule,
        sql=settings.sql or rule.sql,
        version=settings.sql_version or rule.version,
        actions=actions,
        error_action=settings.error_action,
    )


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
        problems += problems_of(config)
    if problems:
        raise UsageError(
            "; ".join(problems), where=str(path), next_step="see host/buoyfleet/cloud/local/config.py"
        )
    assert isinstance(config, TwinConfig)  # _build makes what it was asked for where it found no problem
    return config


def problems_of(config: TwinConfig) -> list[str]:
    """What is wrong with a configuration whose values have the right types."""
    problems: list[str] = []
    if config.host not in ("127.0.0.1", "::1", "localhost"):
        problems.append(f"host {config.host!r}: the twin has no authentication and binds to loopback only")
    ports = {"port": config.port, "control_port": config.control_port, "alpn_port": config.alpn_port}
    ports["http_port"] = config.http_port
    problems += [f"{name} {port} is no port" for name, port in ports.items() if not 0 <= port <= 65535]
    twin = config.twin
    positive = {
        "lambda_wall_limit_s": config.lambda_wall_limit_s,
        "twin.timestream_memory_store_h": twin.timestream_memory_store_h,
        "twin.kinesis_shards": twin.kinesis_shards,
        "twin.firehose_lambda_buffer_mb": twin.firehose_lambda_buffer_mb,
        "twin.firehose_s3_buffer_mb": twin.firehose_s3_buffer_mb,
        "twin.lambda_timeout_s": twin.lambda_timeout_s,
        "twin.lambda_memory_mb": twin.lambda_memory_mb,
    }
    problems += [f"{name} must be above 0, not {value}" for name, value in positive.items() if not value > 0]
    not_negative = {
        "twin.timestream_visible_after_s": twin.timestream_visible_after_s,
        "twin.lambda_base_memory_mb": twin.lambda_base_memory_mb,
        "twin.lambda_record_memory_kb": twin.lambda_record_memory_kb,
        "twin.lambda_concurrency": twin.lambda_concurrency,
        "twin.firehose_lambda_buffer_s": twin.firehose_lambda_buffer_s,
        "twin.firehose_s3_buffer_s": twin.firehose_s3_buffer_s,
        "twin.lambda_cold_start_ms": twin.lambda_cold_start_ms,
        "twin.lambda_per_record_ms": twin.lambda_per_record_ms,
    }
    problems += [
        f"{name} must not be negative ({value})" for name, value in not_negative.items() if value < 0
    ]
    try:
        config.limits_held()
    except ValueError as error:
        problems.append(str(error))
    problems += _endless(config)
    try:
        config.layout  # noqa: B018 - only whether it can be made
    except PrefixError as error:
        problems.append(f"{error.where}: {error.what}")
    return problems


def _endless(config: TwinConfig) -> list[str]:
    """Error actions whose message would come to the rules again, and fail again."""
    settings = (config.twin.timestream_rule, config.twin.kinesis_rule)
    actions = [rule.error_action for rule in settings if rule.error_action is not None]
    topics = {action.republish for action in actions} - {""}
    if not topics:
        return []
    from buoyfleet.cloud.local.rule_compile import Chance
    from buoyfleet.cloud.local.rule_tokens import RuleError
    from buoyfleet.cloud.local.rules import Rule

    rules = config.rules()
    try:
        compiled = [Rule(rule, Chance(0)) for rule in rules]
    except RuleError:
        return []  # the twin says so when it starts
    return [
        f"the error action republishes on {topic}, which rule {rule.spec.name} selects: it would go round"
        for topic in sorted(topics)
        for rule in compiled
        if rule.matches(topic)
    ]


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
    if origin in (UnionType, Union):
        return _convert_any_of(arguments, value, name, problems)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        wanted = "a list" if origin is tuple else hint.__name__
        problems.append(f"{name} must be {wanted}, not {value!r}")
        return None
    return value


def _convert_any_of(hints: tuple[Any, ...], value: Any, name: str, problems: list[str]) -> Any:
    if value is None and type(None) in hints:
        return None
    for hint in hints:
        tried: list[str] = []
        converted = _convert(hint, value, name, tried) if hint is not type(None) else None
        if hint is not type(None) and not tried:
            return converted
    hint = next(hint for hint in hints if hint is not type(None))
    return _convert(hint, value, name, problems)


__all__ = ["FaultSpec", "LimitMode", "TwinConfig", "load", "to_json"]
