"""The time-series store of a pipeline: Timestream, or an InfluxDB in its place."""

from collections.abc import Callable
from typing import Protocol

from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.timestream import Range, TimestreamReader
from buoyfleet.cloud.influxdb import Credentials, InfluxClient, InfluxError
from buoyfleet.cloud.measure_rows import NO_MESSAGE, MeasureRows
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.twin import InfluxSpec
from sensors.catalog import KEYS


class SeriesReader(Protocol):
    """Reads measures back. Methods block and raise `AwsError`."""

    name: str
    """Of the store: `timestream` or `influxdb`."""
    where: str
    """For messages."""

    def count(self, rows: Range) -> int:
        """How many measures (of the nine) are visible."""
        ...

    def read(
        self,
        rows: Range,
        into: MeasureRows,
        visible_ns: Callable[[int, int, str], int],
        on_problem: Callable[[str], None],
    ) -> int:
        """Add all rows to `into`; returns how many."""
        ...


class InfluxReader:
    """An InfluxDB, which the account's rules write to."""

    name = "influxdb"

    def __init__(self, spec: InfluxSpec, secrets: tuple[str, str]) -> None:
        """`secrets` are password and token, resolved."""
        self._client = InfluxClient(spec, Credentials(*secrets))
        self.where = self._client.where

    def count(self, rows: Range) -> int:
        """See `SeriesReader`. Counts the measures of all buoys: a database of a pipeline has no others."""
        try:
            return self._client.count(rows.since_ms, rows.until_ms, KEYS)
        except InfluxError as error:
            raise _as_aws(error) from None

    def read(
        self,
        rows: Range,
        into: MeasureRows,
        visible_ns: Callable[[int, int, str], int],
        on_problem: Callable[[str], None],  # noqa: ARG002 - part of the protocol
    ) -> int:
        """See `SeriesReader`."""
        try:
            return self._client.read(
                rows.since_ms,
                rows.until_ms,
                frozenset(rows.buoys),
                into,
                # All measures of a message are one point, and become visible together.
                lambda buoy, time_ms: visible_ns(buoy, time_ms, KEYS[0]),
                lambda _buoy, _time_ms: NO_MESSAGE,
            )
        except InfluxError as error:
            raise _as_aws(error) from None


def _as_aws(error: InfluxError) -> AwsError:
    return AwsError(error.what, where=error.where, cause=error.cause, next_step=error.next_step)


def series_reader(account: Account, spec: AwsSpec, secrets: tuple[str, str]) -> SeriesReader:
    """The reader of the pipeline's own store."""
    if spec.influxdb is not None:
        return InfluxReader(spec.influxdb, secrets)
    return TimestreamReader(account, spec)
