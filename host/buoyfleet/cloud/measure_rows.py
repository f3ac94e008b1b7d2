"""Measure rows on their way to Parquet, gathered by layout.

Messages of a fleet have few layouts (the same names with the same types in the same order). Per layout the
columns are flat arrays of machine numbers, one entry per message, and become rows (one per measure) only when
a segment is written, by numpy: a million rows cost 16 MB and no Python objects.
"""

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pyarrow as pa

NO_TIME = -(1 << 63)
"""In `times`: the row has no timestamp (null)."""
NO_MESSAGE = -1
"""In `messages`: the number of the message is not known (null)."""

DOUBLE, BIGINT, BOOLEAN, VARCHAR = "DOUBLE", "BIGINT", "BOOLEAN", "VARCHAR"
KINDS = {float: DOUBLE, int: BIGINT, bool: BOOLEAN, str: VARCHAR}
"""Type of a measure by the Python type of a JSON value (AWS IoT guide, Timestream rule action)."""

VERSION_COLUMN = "version"
"""Beside the columns of the store's schema: the record's version, where one replaces another."""


class Layout:
    """The rows of one layout. Columns are appended to directly: this is the hot path of the twin."""

    __slots__ = (
        "buoys",
        "kinds",
        "messages",
        "names",
        "numbers",
        "text_at",
        "texts",
        "times",
        "version",
        "visible",
    )

    def __init__(self, names: tuple[str, ...], kinds: tuple[str, ...], version: int) -> None:
        self.names = names
        self.kinds = kinds
        self.version = version
        self.text_at = tuple(index for index, kind in enumerate(kinds) if kind == VARCHAR)
        self.messages = array("q")
        self.buoys = array("i")
        self.times = array("q")
        """ms since 1970, or NO_TIME."""
        self.visible = array("q")
        """UTC ns."""
        self.numbers = array("d")
        """len(names) per message; texts have anything here."""
        self.texts: tuple[list[str], ...] = tuple([] for _ in self.text_at)
        """One list per position of `text_at`."""

    def append(
        self,
        buoy: int,
        time_ms: int,
        visible_ns: int,
        message: int,
        numbers: "Iterable[float]",
        texts: list[str],
    ) -> None:
        """One message: `numbers` has one entry per name, `texts` one per VARCHAR name."""
        self.messages.append(message)
        self.buoys.append(buoy)
        self.times.append(time_ms)
        self.visible.append(visible_ns)
        self.numbers.extend(numbers)
        if texts:
            for column, text in zip(self.texts, texts, strict=True):
                column.append(text)

    def table(self) -> "pa.Table":
        """The rows: `len(messages) * len(names)` of them, in the store's schema plus the version."""
        import numpy as np
        import pyarrow as pa

        from buoyfleet.model.store import SCHEMA

        messages, width = len(self.messages), len(self.names)
        position = np.tile(np.arange(width), messages)
        row_of = np.repeat(np.arange(messages), width)
        times = np.frombuffer(self.times, np.int64)[row_of]
        numbers = np.frombuffer(self.messages, np.int64)[row_of]
        is_text = np.zeros(width, np.bool_)
        is_text[list(self.text_at)] = True
        columns = {
            "buoy": pa.array(np.frombuffer(self.buoys, np.int32)[row_of]),
            "timestamp_ms": pa.array(times, mask=times == NO_TIME),
            "measure": pa.array(self.names, pa.string()).take(pa.array(position)),
            "type": pa.array(self.kinds, pa.string()).take(pa.array(position)),
            "value": pa.array(np.frombuffer(self.numbers, np.float64), mask=is_text[position]),
            "text": self._text_column(position, row_of),
            "visible_ns": pa.array(np.frombuffer(self.visible, np.int64)[row_of]),
            "message": pa.array(numbers, mask=numbers == NO_MESSAGE),
            VERSION_COLUMN: pa.array(np.full(len(position), self.version, np.int64)),
        }
        schema = SCHEMA.append(pa.field(VERSION_COLUMN, pa.int64(), nullable=False))
        return pa.table([columns[name] for name in schema.names], schema=schema)

    def _text_column(self, position: "np.ndarray", row_of: "np.ndarray") -> "pa.Array":
        import numpy as np
        import pyarrow as pa

        if not self.text_at:
            return pa.nulls(len(position), pa.string())
        # All texts behind one another, and for each row the place of its text.
        texts = pa.concat_arrays([pa.array(column, pa.string()) for column in self.texts])
        rank = np.zeros(len(self.names), np.int64)
        rank[list(self.text_at)] = np.arange(len(self.text_at))
        place = rank[position] * len(self.messages) + row_of
        is_text = np.isin(position, np.array(self.text_at))
        return texts.take(pa.array(place, mask=~is_text))


class MeasureRows:
    """The rows of one store (`buoyfleet.cloud.local.segments.Rows`)."""

    def __init__(self) -> None:
        self._layouts: dict[tuple[tuple[str, ...], tuple[str, ...], int], Layout] = {}
        self.epoch = 0
        """Goes up when layouts are detached: whoever keeps a `Layout` must ask again."""

    def __len__(self) -> int:
        return sum(len(layout.messages) * len(layout.names) for layout in self._layouts.values())

    def layout(self, names: tuple[str, ...], kinds: tuple[str, ...], version: int = 1) -> Layout:
        """Where messages of this layout are appended, until the next `detach`."""
        key = (names, kinds, version)
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layouts[key] = Layout(names, kinds, version)
        return layout

    def detach(self) -> "DetachedRows | None":
        """See `buoyfleet.cloud.local.segments.Rows`."""
        layouts, self._layouts = self._layouts, {}
        self.epoch += 1
        filled = [layout for layout in layouts.values() if layout.messages and layout.names]
        return DetachedRows(filled) if filled else None


class DetachedRows:
    """Rows that are complete and wait to be written."""

    def __init__(self, layouts: list[Layout]) -> None:
        self._layouts = layouts

    def table(self) -> "pa.Table":
        """See `buoyfleet.cloud.local.segments.Detached`."""
        import pyarrow as pa

        return pa.concat_tables([layout.table() for layout in self._layouts])
