"""From an InfluxDB to a run's folder: the points of one window and its buoys, as rows of the store."""

from pathlib import Path

from buoyfleet.cloud.influxdb import InfluxClient, InfluxError
from buoyfleet.cloud.local.collect import Window
from buoyfleet.cloud.local.influx_stage import INDEX_FOLDER, STAGE
from buoyfleet.cloud.local.segments import segment_paths
from buoyfleet.cloud.measure_rows import NO_MESSAGE, MeasureRows
from buoyfleet.cloud.store_parts import rows_in_parts, write_parts

AHEAD_MS = 60_000
"""A board's clock may be ahead of ours a little."""
_NS_PER_MS = 1_000_000


def collect_influxdb(folder: Path, run_folder: Path, window: Window, client: InfluxClient) -> list[str]:
    """Write `stores/influxdb/`; returns what could not be read.

    InfluxDB does not tell since when a point is visible: it counts from when the write was answered, and for
    a point that the twin did not write, from its own time.

    Raises:
        OSError: the run's folder cannot be written.
    """
    from buoyfleet.model.store import STORE_FOLDER

    taken = _index(folder / INDEX_FOLDER)
    rows = MeasureRows()
    try:
        client.read(
            window.since_ns // _NS_PER_MS,
            window.until_ns // _NS_PER_MS + AHEAD_MS,
            window.buoys,
            rows,
            lambda buoy, time_ms: taken.get((buoy, time_ms), (0, time_ms * _NS_PER_MS))[1],
            lambda buoy, time_ms: taken.get((buoy, time_ms), (NO_MESSAGE, 0))[0],
        )
    except InfluxError as error:
        return [f"InfluxDB could not be read: {error.what} ({error.where})"]
    finally:
        client.close()
    write_parts(rows_in_parts(rows), run_folder / STORE_FOLDER / STAGE)
    return []


def _index(folder: Path) -> dict[tuple[int, int], tuple[int, int]]:
    """(buoy, time in ms) → (message, when the first write of it was answered)."""
    import pyarrow.parquet as pq

    found: dict[tuple[int, int], tuple[int, int]] = {}
    for path in segment_paths(folder):
        table = pq.ParquetFile(path).read()
        columns = [table.column(name).to_pylist() for name in ("buoy", "timestamp_ms", "message", "at_ns")]
        for buoy, time_ms, message, at_ns in zip(*columns, strict=True):
            found.setdefault((buoy, time_ms), (message, at_ns))
    return found
