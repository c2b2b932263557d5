"""A run folder being written, by one process at a time."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resnet_keras.runs import checkpoints, reading, storage
from resnet_keras.runs.checkpoints import State
from resnet_keras.runs.events import Events
from resnet_keras.runs.lookup import ResumePoint
from resnet_keras.spec import records
from resnet_keras.spec.records import Results, Row

MACHINE = ("device", "compiled", "distribution", "hardware", "versions", "command", "commit")
"""The settings that may change when a run resumes."""


class RunFolder:
    """A run folder being written. Every file in it is complete at any moment.

    Args:
        path: the folder, which this process holds.
        settings: what is run and where, as values that JSON can hold.
        found: what `lookup.inspect` found there; None starts over.
        tensorboard: whether each row is also written as a TensorBoard event.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        found: ResumePoint | None = None,
        *,
        tensorboard: bool = False,
    ) -> None:
        self.path = path
        checkpoint = found.checkpoint if found else None
        self.state = checkpoint.state if checkpoint else None
        """Where to resume; None is the beginning."""
        self._settings = _settings(settings, found)
        self._rows = list(self.state.rows) if self.state else []
        self._digests: dict[str, storage.Digest] = {}
        storage.check_writable(path)
        storage.sweep(path)
        storage.sweep(path / checkpoints.FOLDER)
        older = checkpoints.generations(path)
        older = older[older.index(checkpoint.path) :] if checkpoint else []
        self._keep(older)
        self._write_metrics()
        self._events = Events(path, self._settings["started"], self._rows) if tensorboard else None
        self._write_run()  # last: without it there is no run yet

    @property
    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that this run wrote or resumed from."""
        return self._generations[0] if self._generations else None

    def record(self, row: Row) -> None:
        """Adds a row to `metrics.csv` and, if requested, to the TensorBoard events."""
        self._rows.append(row)
        self._write_metrics()
        if self._events is not None:
            self._events.add(row)

    def save_state(self, state: State) -> Path:
        """Writes a checkpoint; of the earlier ones, only the last is kept.

        Raises:
            OSError: the checkpoint cannot be written; the earlier ones stay.
        """
        path = checkpoints.save(self.path, state, self._settings, self._settings.get("versions", {}))
        self._keep([path, *(old for old in self._generations if old != path)])
        return path

    def save_model(self, write: Callable[[Path], None]) -> Path:
        """Writes `model.keras` by calling `write(path)`.

        Raises:
            OSError: the model cannot be written; an existing one stays.
        """
        target = self.path / reading.MODEL

        def make(aside: Path) -> None:
            write(aside)
            self._digests[reading.MODEL] = storage.Digest.of(aside.read_bytes())

        storage.atomic_replace(target, make)
        return target

    def finish(self, results: Results) -> None:
        """Writes the results, which marks the run as ended."""
        files = {name: digest._asdict() for name, digest in sorted(self._digests.items())}
        self._settings |= {"ended": _now(), "results": results._asdict(), "files": files}
        self._write_run()

    def _keep(self, newest_first: list[Path]) -> None:
        self._generations = newest_first[: checkpoints.GENERATIONS]
        checkpoints.prune(self.path, set(self._generations))

    def _write_run(self) -> None:
        storage.atomic_write(self.path / reading.RUN, reading.seal(self._settings))

    def _write_metrics(self) -> None:
        data = records.to_csv(self._rows).encode()
        storage.atomic_write(self.path / reading.METRICS, data)
        self._digests[reading.METRICS] = storage.Digest.of(data)


class ReadOnlyFolder:
    """A run folder that another process of the run writes; this process is told what it needs to know.

    Args:
        path: the folder, as named by the writer.
        found: what the writer found there.
    """

    last_checkpoint: Path | None = None

    def __init__(self, path: Path, found: ResumePoint) -> None:
        self.path = path
        self.state = found.checkpoint.state if found.checkpoint else None

    def record(self, row: Row) -> None:
        """Does nothing."""

    def save_state(self, state: State) -> Path:
        """Does nothing."""
        return self.path

    def save_model(self, write: Callable[[Path], None]) -> Path:
        """Does nothing."""
        return self.path / reading.MODEL

    def finish(self, results: Results) -> None:
        """Does nothing."""


def _settings(settings: Mapping[str, Any], found: ResumePoint | None) -> dict[str, Any]:
    """The contents of `run.json` during a run: a resumed run keeps its original fields and adds where it resumed."""
    open_end = {"ended": None, "results": None, "files": None}
    if found is None or found.checkpoint is None:
        return {**settings, "started": _now(), **open_end}
    before = dict(found.settings)
    told = {"distribution": None, **settings}  # a single process does not set it
    changed = {key: told[key] for key in MACHINE if key in told and told[key] != before.get(key)}
    here = {"at": _now(), "iteration": found.checkpoint.state.iteration, **changed}
    recipe = found.recipe.to_dict()
    if reading.json_roundtrip(recipe) != before["recipe"]:
        before["begun_as"] = before.get("begun_as") or before["recipe"]
    # Adds what earlier versions did not write, and names that were not known then.
    before["data"] = settings["data"] | {name: value for name, value in before["data"].items() if value is not None}
    return {**before, "recipe": recipe, "continued": [*before.get("continued", []), here], **open_end}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
