"""CloudWatch metrics of the pipeline, as counters of its stages under the same names that the twin uses.

CloudWatch keeps whole minutes, and some metrics are the account's, not the fleet's: the notes say so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from buoyfleet.cloud.aws.account import Account
from buoyfleet.model.aws import AwsSpec

MAX_PER_CALL = 500
"""Metrics of one GetMetricData (CloudWatch API reference)."""
PERIOD_S = 60
_NS_PER_S = 1_000_000_000
_SUM, _MAXIMUM, _AVERAGE, _COUNT = "Sum", "Maximum", "Average", "SampleCount"

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One metric."""

    namespace: str
    name: str
    dimensions: Dimensions
    statistic: str = _SUM
    suffix: str = ""
    """Told apart in the label, e.g. `{RuleName=…}` or `.Maximum`."""

    @property
    def label(self) -> str:
        """The name in `StageCount.metrics`."""
        joint = "" if self.suffix.startswith(".") or not self.suffix else " "
        return f"{self.namespace} {self.name}{joint}{self.suffix}"


@dataclass(slots=True)
class Reading:
    """Values by label over the run's minutes; a metric without data points is not there."""

    values: dict[str, float] = field(default_factory=dict)
    busiest: dict[str, float] = field(default_factory=dict)
    """Largest value of a minute, for sums."""

    def get(self, label: str) -> int:
        """A counter; 0 where CloudWatch has none."""
        return round(self.values.get(label, 0.0))


class MetricReader:
    """The metrics of one pipeline."""

    def __init__(self, account: Account, spec: AwsSpec) -> None:
        self._account = account
        self._spec = spec
        self._found: list[Wanted] | None = None

    def read(self, since_ns: int, until_ns: int) -> Reading:
        """All metrics over the minutes that the window touches.

        Raises:
            AwsError: not allowed, no answer.
        """
        if self._found is None:
            self._found = [*_fixed(self._spec), *self._discover()]
        start = datetime.fromtimestamp(since_ns // _NS_PER_S // PERIOD_S * PERIOD_S, UTC)
        end = datetime.fromtimestamp((until_ns // _NS_PER_S // PERIOD_S + 1) * PERIOD_S, UTC)
        reading = Reading()
        for first in range(0, len(self._found), MAX_PER_CALL):
            self._read_some(self._found[first : first + MAX_PER_CALL], start, end, reading)
        return reading

    def _read_some(self, wanted: list[Wanted], start: datetime, end: datetime, reading: Reading) -> None:
        queries = [
            {
                "Id": f"m{index}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": one.namespace,
                        "MetricName": one.name,
                        "Dimensions": [{"Name": name, "Value": value} for name, value in one.dimensions],
                    },
                    "Period": PERIOD_S,
                    "Stat": one.statistic,
                },
            }
            for index, one in enumerate(wanted)
        ]
        points: dict[int, list[float]] = {}
        for page in self._account.pages(
            "cloudwatch",
            "get_metric_data",
            token=("NextToken", "NextToken"),
            MetricDataQueries=queries,
            StartTime=start,
            EndTime=end,
        ):
            for result in page["MetricDataResults"]:
                points.setdefault(int(result["Id"][1:]), []).extend(result["Values"])
        for index, values in points.items():
            if values:
                one = wanted[index]
                known = reading.values.get(one.label, 0.0)
                reading.values[one.label] = known + _over_all(one.statistic, values)
                if one.statistic == _SUM:
                    reading.busiest[one.label] = max(values)

    def _discover(self) -> Iterable[Wanted]:
        """Metrics whose dimensions AWS chooses: the actions of the rules, and what Timestream counts."""
        spec = self._spec
        for rule in spec.rules:
            yield from self._listed("AWS/IoT", ("Success", "Failure"), ("RuleName", rule))
        yield from self._listed(
            "AWS/Timestream",
            ("UserErrors", "SystemErrors", "SuccessfulRequestLatency"),
            ("TableName", spec.table),
        )

    def _listed(self, namespace: str, names: tuple[str, ...], dimension: tuple[str, str]) -> Iterable[Wanted]:
        for page in self._account.pages(
            "cloudwatch",
            "list_metrics",
            token=("NextToken", "NextToken"),
            Namespace=namespace,
            Dimensions=[{"Name": dimension[0], "Value": dimension[1]}],
        ):
            for metric in page["Metrics"]:
                if metric["MetricName"] not in names:
                    continue
                found = tuple((one["Name"], one["Value"]) for one in metric["Dimensions"])
                if dict(found).get("DatabaseName", self._spec.database) != self._spec.database:
                    continue
                latency = metric["MetricName"] == "SuccessfulRequestLatency"
                # As the twin names them: what differs in the action or the operation alone is added up.
                rule = f"{{RuleName={dict(found)['RuleName']}}}" if "RuleName" in dict(found) else ""
                suffix = f".{_COUNT}" if latency else rule
                yield Wanted(namespace, metric["MetricName"], found, _COUNT if latency else _SUM, suffix)


def _over_all(statistic: str, values: list[float]) -> float:
    if statistic in (_SUM, _COUNT):
        return sum(values)
    return max(values) if statistic == _MAXIMUM else sum(values) / len(values)


def _fixed(spec: AwsSpec) -> Iterable[Wanted]:
    """Metrics whose dimensions are known (reference pages of each service)."""
    mqtt: Dimensions = (("Protocol", "MQTT"),)
    for name in ("Success", "AuthError", "ClientError", "ServerError", "Throttle", "ClientIDThrottle"):
        yield Wanted("AWS/IoT", f"Connect.{name}", mqtt)
    for name in ("Success", "AuthError", "ClientError", "ServerError", "Throttle"):
        yield Wanted("AWS/IoT", f"PublishIn.{name}", mqtt)
    for rule in spec.rules:
        for name in ("TopicMatch", "ParseError", "RuleMessageThrottled", "RuleNotFound"):
            yield Wanted("AWS/IoT", name, (("RuleName", rule),), suffix=f"{{RuleName={rule}}}")
    stream: Dimensions = (("StreamName", spec.stream),)
    for name in ("IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"):
        yield Wanted("AWS/Kinesis", name, stream)
    yield Wanted("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", stream, _MAXIMUM, f".{_MAXIMUM}")
    delivery: Dimensions = (("DeliveryStreamName", spec.delivery_stream),)
    for name in (
        *(
            "DataReadFromKinesisStream.Records",
            "DataReadFromKinesisStream.Bytes",
            "SucceedProcessing.Records",
        ),
        *("SucceedProcessing.Bytes", "DeliveryToS3.Records", "DeliveryToS3.Bytes", "ThrottledGetRecords"),
    ):
        yield Wanted("AWS/Firehose", name, delivery)
    yield Wanted("AWS/Firehose", "ExecuteProcessing.Success", delivery, _AVERAGE)
    yield Wanted("AWS/Firehose", "ExecuteProcessing.Duration", delivery, _MAXIMUM, f".{_MAXIMUM}")
    yield Wanted("AWS/Firehose", "DeliveryToS3.DataFreshness", delivery, _MAXIMUM)
    function: Dimensions = (("FunctionName", spec.function),)
    for name in ("Invocations", "Errors", "Throttles"):
        yield Wanted("AWS/Lambda", name, function)
    yield Wanted("AWS/Lambda", "Duration", function, _MAXIMUM, f".{_MAXIMUM}")
    yield Wanted("AWS/Lambda", "Duration", function, _AVERAGE, f".{_AVERAGE}")
    yield Wanted("AWS/Lambda", "ConcurrentExecutions", function, _MAXIMUM, f".{_MAXIMUM}")
