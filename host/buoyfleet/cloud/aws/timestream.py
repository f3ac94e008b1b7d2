"""Reads a run's measures back from Timestream for LiveAnalytics, bounded in time, ids and bytes.

Only `SELECT` on the one table and always with a time range: no query scans more than the run's own hours.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from buoyfleet.cloud.aws.account import DENIED, Account, AwsError
from buoyfleet.cloud.measure_rows import BIGINT, BOOLEAN, DOUBLE, NO_MESSAGE, VARCHAR, MeasureRows
from buoyfleet.model.aws import AwsSpec
from sensors.catalog import KEYS

IDS_PER_QUERY = 500
"""Keeps a query's text (256 KB are allowed) and its pages small."""
MAX_METERED_BYTES = 50 << 30
"""A run's queries stop here: half a dollar at 10 dollars per TB, and far beyond a run's own data."""
_COLUMNS = {
    DOUBLE: "measure_value::double",
    BIGINT: "measure_value::bigint",
    BOOLEAN: "measure_value::boolean",
    VARCHAR: "measure_value::varchar",
}
TIMESTREAM_SERVICE = "timestream-query"
"""boto3's name."""
_WITHOUT = (
    "; if the account never used Timestream for LiveAnalytics (AWS took no new customers after 2025-06-20): "
    "`aws cloudformation deploy … --parameter-overrides TimeSeriesStore=influxdb InfluxUrl=https://HOST:8086 "
    "InfluxBucket=DATABASE InfluxOrganization=ORGANISATION InfluxTokenSecretArn=ARN`, and `influxdb: {url, "
    "database, organisation, token}` under `target`"
)


@dataclass(frozen=True, slots=True)
class Range:
    """Which rows are a run's."""

    since_ms: int
    until_ms: int
    buoys: tuple[int, ...]
    """Sorted."""


class TimestreamReader:
    """Queries on one table."""

    name = "timestream"

    def __init__(self, account: Account, spec: AwsSpec) -> None:
        self._account = account
        self._table = f'"{spec.database}"."{spec.table}"'
        self._name = f"{spec.database}.{spec.table}"
        self.where = f"Timestream {self._name}"
        self._columns: dict[str, str] | None = None
        self.metered_bytes = 0
        """What the queries so far are charged for."""
        self.queries = 0

    def count(self, rows: Range) -> int:
        """How many measures (of the nine) are visible.

        Raises:
            AwsError: no such table, not allowed, no answer.
        """
        keys = ", ".join(f"'{key}'" for key in KEYS)
        total = 0
        for condition in _conditions(rows):
            query = f"SELECT count(*) FROM {self._table} WHERE {condition} AND measure_name IN ({keys})"
            for data in self._rows(query):
                total += int(data[0] or 0)
        return total

    def read(
        self,
        rows: Range,
        into: MeasureRows,
        visible_ns: Callable[[int, int, str], int],
        on_problem: Callable[[str], None],
    ) -> int:
        """Add all rows to `into`; returns how many.

        Args:
            rows: which.
            into: where measures go; a row each, as the table has no messages.
            visible_ns: since when a row is known to be visible, given buoy, time in ms and measure.
            on_problem: told of rows that cannot be read.

        Raises:
            AwsError: as of `count`.
        """
        columns = self._value_columns()
        values = "".join(f", {column}" for column in columns.values())
        kinds = tuple(columns)
        count = 0
        for condition in _conditions(rows):
            query = (
                f"SELECT buoy_id, measure_name, to_milliseconds(time){values} "
                f"FROM {self._table} WHERE {condition}"
            )
            for buoy, measure, time_ms, *found in self._rows(query):
                kind = next((kind for kind, value in zip(kinds, found, strict=True) if value is not None), "")
                if not kind or buoy is None or measure is None or time_ms is None:
                    on_problem(
                        f"Timestream {self._name}: a row of buoy {buoy}, measure {measure} has no value"
                    )
                    continue
                text = found[kinds.index(kind)] or ""
                number, stamp = int(buoy), int(time_ms)
                into.layout((measure,), (kind,)).append(
                    number,
                    stamp,
                    visible_ns(number, stamp, measure),
                    NO_MESSAGE,
                    [_number(kind, text)],
                    [text] if kind == VARCHAR else [],
                )
                count += 1
        return count

    def _value_columns(self) -> dict[str, str]:
        """Type → column, of those there are: a column exists once a measure of its type was written."""
        if self._columns is None:
            there = {data[0] for data in self._rows(f"DESCRIBE {self._table}")}
            self._columns = {kind: column for kind, column in _COLUMNS.items() if column in there}
        return self._columns

    def _pages(self, query: str) -> Iterator[dict[str, Any]]:
        pages = self._account.pages(
            TIMESTREAM_SERVICE, "query", on=self._name, token=("NextToken", "NextToken"), QueryString=query
        )
        try:
            yield from pages
        except AwsError as error:
            raise (_or_without(error) if error.code in DENIED else error) from None

    def _rows(self, query: str) -> Iterator[list[str | None]]:
        self.queries += 1
        metered = 0
        for page in self._pages(query):
            charged = int(page.get("QueryStatus", {}).get("CumulativeBytesMetered", 0))
            self.metered_bytes += max(0, charged - metered)
            metered = max(metered, charged)
            if self.metered_bytes > MAX_METERED_BYTES:
                raise AwsError(
                    f"the queries of this run have read {self.metered_bytes >> 30} GiB, which is enough",
                    where=f"Timestream {self._name}",
                    next_step="use a table of its own for test fleets, or a shorter run",
                )
            for row in page["Rows"]:
                yield [datum.get("ScalarValue") for datum in row["Data"]]


def _or_without(error: AwsError) -> AwsError:
    """The same error with the way for accounts that Timestream is closed to.

    AWS answers those with the code that a missing permission has (AccessDeniedException: "Only existing
    Timestream for LiveAnalytics customers can access the service"): only a reader can tell which it is.
    """
    return AwsError(
        error.what,
        code=error.code,
        identity=error.identity,
        where=error.where,
        cause=error.cause,
        next_step=error.next_step + _WITHOUT,
    )


def _conditions(rows: Range) -> Iterator[str]:
    """The WHERE of one query each, some hundred ids at a time."""
    span = f"time BETWEEN from_milliseconds({rows.since_ms}) AND from_milliseconds({rows.until_ms})"
    for start in range(0, len(rows.buoys), IDS_PER_QUERY):
        ids = ", ".join(f"'{one}'" for one in rows.buoys[start : start + IDS_PER_QUERY])
        yield f"{span} AND buoy_id IN ({ids})"


def _number(kind: str, text: Any) -> float:
    if kind == VARCHAR:
        return 0.0
    if kind == BOOLEAN:
        return float(text == "true")
    return float(text)
