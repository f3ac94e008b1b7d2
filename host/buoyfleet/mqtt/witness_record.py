"""The witness's record: what it sees, on disk as it comes."""

from pathlib import Path

from buoyfleet.model.errors import TargetError
from buoyfleet.model.stage_count import EVIDENCE_FOLDER


class RecordStream:
    """An Arrow IPC stream of `WITNESS_SCHEMA`, unbuffered as a ledger's is.

    Raises:
        TargetError: the file cannot be made.
        OSError: of `write` and `close`: the disk is full.
    """

    def __init__(self, run_folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.ipc

        from buoyfleet.model.evidence import WITNESS_SCHEMA, WITNESS_STREAM

        self._schema = WITNESS_SCHEMA
        self._batch = pa.record_batch
        path = run_folder / EVIDENCE_FOLDER / WITNESS_STREAM
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
            self._stream = pyarrow.ipc.new_stream(self._file, self._schema)
        except OSError as error:
            raise TargetError(
                f"what the subscriber sees cannot be written: {error.strerror or error}", where=str(path)
            ) from error

    def write(self, rows: tuple[list[int], list[bytes], list[int]]) -> None:
        """Add a batch."""
        self._stream.write_batch(self._batch(list(rows), schema=self._schema))

    def close(self) -> None:
        """Write the end-of-stream mark."""
        self._stream.close()
        self._file.close()
