"""A run folder in the making: one process at a time writes it, and what is there already is gone on with.

`look` finds out what a folder holds of the run that is asked for: nothing, a checkpoint, or the finished run.
`RunFolder` writes it.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from resnet_keras.errors import Damaged, Difference, InputOutput, OtherRun
from resnet_keras.runs import checkpoints, reading, storage
from resnet_keras.runs.checkpoints import Checkpoint, State
from resnet_keras.spec import records
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.records import Results, Row
from resnet_keras.weights import archive

Resume = Literal["auto", "fresh"]
"""What to do with a run folder that is there: go on with it, or start over in a new one beside it."""
MACHINE = ("device", "compiled", "hardware", "versions", "command", "commit")
"""The settings that may be others where a run goes on."""
LOCK = ".lock"
"""Locked by the kernel for as long as its holder lives; it holds the holder's process and host as text."""


@dataclass(frozen=True)
class Found:
    """What a run folder holds of the run that is asked for.

    Attributes:
        recipe: to train by: the one asked for, or the one of the folder with as many iterations as asked for.
        finished: the run, if there is nothing left to do.
        checkpoint: where to go on; None is the beginning.
        settings: of `run.json`, as far as the run came; empty at the beginning.
        warnings: a line about each file that was damaged.
    """

    recipe: Recipe
    finished: reading.Run | None = None
    checkpoint: Checkpoint | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def place(out: Path, resume: Resume) -> Path:
    """The run folder: `out`, or to start over `out-2`, `out-3`, ... where that is taken."""
    path, number = out, 1
    while resume == "fresh" and path.exists() and any(path.iterdir()):
        number += 1
        path = out.with_name(f"{out.name}-{number}")
    return path


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keeps other processes out of a run folder. The kernel ends the lock of a process that died.

    Raises:
        OSError: the folder cannot be written, or another process, which is named, writes it.
    """
    storage.check_writable(path)
    lock = FileLock(path / LOCK, timeout=0)
    try:
        with lock:
            (path / LOCK).write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
            yield
    except Timeout:
        holder = (path / LOCK).read_text(encoding="utf-8").strip() or "another process"
        raise InputOutput(
            f"One process writes a run folder. Received: {path}, which {holder} is writing. "
            "Wait for it, or choose another --out."
        ) from None


def look(path: Path, settings: Mapping[str, Any], recipe: Recipe, backend: str) -> Found:
    """Finds out how far a run has come. Nothing is written.

    Args:
        path: the run folder; it need not be there.
        settings: what is asked for: architecture, recipe, data and seed.
        recipe: the recipe among them.
        backend: that would train.

    Raises:
        OSError: the folder holds another run, or what it holds is damaged and no checkpoint is left to fall back on.
    """
    asked = reading.through_json(settings)
    run, warnings = _read(path)
    if run is not None and run.results is not None and not warnings:
        continued = _continued(run.settings, recipe)
        over = continued is not None and continued.iterations == run.settings["recipe"]["iterations"]
        if continued is not None and over and not _differences(run.settings, asked, continued):
            return Found(continued, finished=run, settings=run.settings)

    checkpoint, damaged = checkpoints.newest(path)
    held = run.settings if run is not None else checkpoint.settings if checkpoint else None
    if held is None and not warnings:
        return Found(recipe, warnings=tuple(damaged))
    if held is not None:
        continued = _continued(held, recipe)
        # What has been computed on one backend goes on there.
        if differences := _differences(held, asked | ({"backend": backend} if checkpoint else {}), continued):
            name = held["architecture"].get("name", "another net")
            raise OtherRun(
                f"A run folder holds one run. Received: {path} with a run of other settings, {name}. "
                "Choose another --out, or --fresh.",
                differences,
            )
        if checkpoint is not None or (run is not None and run.results is None):
            going_on = held if checkpoint is not None else {}
            return Found(continued or recipe, None, checkpoint, going_on, (*warnings, *damaged))
    reason = warnings[0] if warnings else f"A finished run goes on from its checkpoint. Received: {path} without one."
    raise Damaged(f"{reason} No checkpoint is left to go on from; start over with --fresh.")


class RunFolder:
    """A run folder being written. Every file in it is whole at any moment.

    Args:
        path: the folder, which this process holds.
        settings: what is run and where; values that JSON can hold.
        found: what `look` found there; None starts over.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], found: Found | None = None) -> None:
        self.path = path
        checkpoint = found.checkpoint if found else None
        self.state = checkpoint.state if checkpoint else None
        """Where to go on; None is the beginning."""
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
        self._write_run()  # last: without it there is no run yet

    @property
    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that this run wrote or went on from."""
        return self._generations[0] if self._generations else None

    def record(self, row: Row) -> None:
        """Adds a row to `metrics.csv`."""
        self._rows.append(row)
        self._write_metrics()

    def save_state(self, state: State) -> Path:
        """Writes a checkpoint and removes those before the one before it.

        Raises:
            OSError: it cannot be written; those before it stay.
        """
        path = checkpoints.save(self.path, state, self._settings, self._settings.get("versions", {}))
        self._keep([path, *(old for old in self._generations if old != path)])
        return path

    def save_model(self, save: Callable[[Path], None]) -> Path:
        """Writes `model.keras` by `save(path)`.

        Raises:
            OSError: it cannot be written; one that was there stays.
        """
        target = self.path / reading.MODEL

        def make(aside: Path) -> None:
            try:
                save(aside)
                if "stages" in self._settings.get("architecture", {}):
                    archive.add_architecture(aside, self._settings["architecture"])
            except RuntimeError as error:  # how HDF5 says that a file cannot be written
                raise OSError(str(error)) from error
            self._digests[reading.MODEL] = storage.Digest.of(aside.read_bytes())

        storage.replace(target, make)
        return target

    def finish(self, results: Results) -> None:
        """Writes the results: from now on the run has ended."""
        files = {name: digest._asdict() for name, digest in sorted(self._digests.items())}
        self._settings |= {"ended": _now(), "results": results._asdict(), "files": files}
        self._write_run()

    def _keep(self, newest_first: list[Path]) -> None:
        self._generations = newest_first[: checkpoints.GENERATIONS]
        checkpoints.prune(self.path, set(self._generations))

    def _write_run(self) -> None:
        storage.write(self.path / reading.RUN, reading.seal(self._settings))

    def _write_metrics(self) -> None:
        data = records.to_csv(self._rows).encode()
        storage.write(self.path / reading.METRICS, data)
        self._digests[reading.METRICS] = storage.Digest.of(data)


def _read(path: Path) -> tuple[reading.Run | None, list[str]]:
    """The run, and a line about what of it is damaged."""
    if not (path / reading.RUN).exists():
        return None, []
    try:
        run = reading.read(path)
    except InputOutput as error:  # damaged, or killed between its first two files
        return None, [str(error)]
    broken = run.damaged_model()
    return run, [f"A model is as it was written. Damaged: {broken}."] if broken else []


def _continued(held: Mapping[str, Any], asked: Recipe) -> Recipe | None:
    """The recipe that goes on from the one held to as many iterations as asked for, or None where it is another one."""
    try:
        stored = Recipe.from_dict(held["recipe"])
        begun = Recipe.from_dict(held.get("begun_as") or held["recipe"])
    except (TypeError, KeyError, ValueError):
        return None
    if asked == stored:
        return stored
    if asked.iterations >= stored.iterations and asked.lengthens(begun):
        # What has been run keeps its learning rates: the added iterations follow at the last one.
        return replace(stored, iterations=asked.iterations)
    return None


def _differences(held: Mapping[str, Any], asked: Mapping[str, Any], continued: Recipe | None) -> list[Difference]:
    """Where the settings differ; a recipe that goes on from the one held does not."""
    fields = [name for name in (*reading.IDENTITY, "backend") if name in asked and name in held]
    if continued is not None:
        fields.remove("recipe")
    return [difference for name in fields for difference in _compare(name, held[name], asked[name])]


def _compare(name: str, held: Any, asked: Any) -> Iterator[Difference]:
    if held == asked:
        return
    if isinstance(held, dict) and isinstance(asked, dict):
        for key in dict.fromkeys([*held, *asked]):
            yield from _compare(f"{name}.{key}", held.get(key), asked.get(key))
    else:
        yield Difference(name, *(json.dumps(value) for value in (held, asked)))


def _settings(settings: Mapping[str, Any], found: Found | None) -> dict[str, Any]:
    """The fields of `run.json` while it runs: a run that goes on keeps its beginning and says where it went on."""
    open_end = {"ended": None, "results": None, "files": None}
    if found is None or found.checkpoint is None:
        return {**settings, "started": _now(), **open_end}
    before = dict(found.settings)
    changed = {key: settings[key] for key in MACHINE if key in settings and settings[key] != before.get(key)}
    here = {"at": _now(), "iteration": found.checkpoint.state.iteration, **changed}
    recipe = found.recipe.to_dict()
    if reading.through_json(recipe) != before["recipe"]:
        before["begun_as"] = before.get("begun_as") or before["recipe"]
    return {**before, "recipe": recipe, "continued": [*before.get("continued", []), here], **open_end}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
