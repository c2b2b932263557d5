"""TensorBoard events beside a run's `metrics.csv`: the same rows, keyed by iteration.

Keras's `TensorBoard` callback needs TensorFlow on every backend, counts the batches of a single call of `fit`, and
starts a second file when a run resumes. Here TensorBoard's own writer makes the records, without TensorFlow.
"""

import os
import socket
from collections.abc import Iterable
from datetime import datetime
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from resnet_keras.errors import InvalidValue
from resnet_keras.runs import storage
from resnet_keras.spec.records import Row

FOLDER = "tensorboard"
"""Folder of the events, inside a run folder."""
TAGS = tuple(field for field in Row._fields if field != "iteration")


def check_installed() -> None:
    """Checks for TensorBoard before long work, not after.

    Raises:
        ValueError: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise InvalidValue(
            "--tensorboard needs the tensorboard package. Received: not installed. "
            'Install it: pip install -e ".[tensorboard]"'
        )


class Events:
    """The events of a run that is being written: one file, which begins with the existing rows.

    Args:
        path: the run folder.
        started: start of the run; an event's time is this plus the seconds spent on training up to its row.
        rows: the rows that the run resumes from. The run's event files of earlier processes, which may hold more, are
            removed.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, started: str, rows: Iterable[Row]) -> None:
        self._begun = datetime.fromisoformat(started).timestamp()
        folder = path / FOLDER
        begins = f"events.out.tfevents.{int(self._begun):010d}"  # others' files began at other times
        earlier = list(folder.glob(f"{begins}.*"))
        number = len(earlier) and 1 + max(int(file.name.rpartition(".")[2]) for file in earlier)
        self._file = folder / f"{begins}.{socket.gethostname()}.{number}"
        storage.atomic_write(self._file, self._version() + b"".join(map(self._record, rows)))
        for file in earlier:
            file.unlink(missing_ok=True)

    def add(self, row: Row) -> None:
        """Appends a row: TensorBoard follows a file that grows, but not one that is replaced.

        Raises:
            OSError: the file cannot be written.
        """
        with self._file.open("ab") as file:
            file.write(self._record(row))
            file.flush()
            os.fsync(file.fileno())

    def _version(self) -> bytes:
        from tensorboard.compat.proto.event_pb2 import Event

        return _framed(Event(wall_time=self._begun, file_version="brain.Event:2").SerializeToString())

    def _record(self, row: Row) -> bytes:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=getattr(row, tag)) for tag in TAGS]
        event = Event(wall_time=self._begun + row.seconds, step=row.iteration, summary=Summary(value=values))
        return _framed(event.SerializeToString())


def _framed(data: bytes) -> bytes:
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = BytesIO()
    RecordWriter(file).write(data)
    return file.getvalue()
