"""Checkpoints: everything that a run needs to resume as if it had never stopped.

    checkpoints/iteration-00000800/
        arrays.npz        weights, the optimizer's state and, inside a period, the running metrics
        manifest.json     what is run, the rows so far, and the size and SHA-256 of arrays.npz
        manifest.sha256   hash of the manifest, which `sha256sum -c manifest.sha256` checks

A checkpoint is a folder that appears under its name once all of it is on disk. The reader checks hashes, then
structure, then values, and falls back to the previous generation.

Why not Keras's `BackupAndRestore`: it overwrites its only copy, checks nothing, and cannot resume inside an epoch. No
framework is imported here.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resnet_keras.errors import Damaged, InputOutput
from resnet_keras.runs import storage
from resnet_keras.spec.records import Row, best

FOLDER = "checkpoints"
ARRAYS, MANIFEST, SEAL = "arrays.npz", "manifest.json", "manifest.sha256"
FILES = (ARRAYS, MANIFEST, SEAL)
GENERATIONS = 2
"""How many checkpoints are kept: one may be damaged, or lost when the process is killed."""
PREFIX = "iteration-"
INSIDE = "-inside"
"""Suffix of a checkpoint that was written inside an evaluation period because of a signal."""
NAME = re.compile(rf"{PREFIX}[0-9]{{8,}}(?:{INSIDE})?")
"""The names that `save` gives; anything else in the folder is someone else's."""
NOT_THERE = (FileNotFoundError, NotADirectoryError)
"""Errors that say that a file or folder is gone; any other says nothing about what it holds."""


@dataclass(frozen=True)
class State:
    """Where a run stands.

    Attributes:
        iteration: updates made so far.
        rows: one for each evaluation period that has ended.
        arrays: by name: `weights/...`, `optimizer/...` and, inside a period, `metrics/...`.
        inside: whether the period of this iteration has no row yet.
        images_per_second: speed over the period so far; 0 if it has not begun.
        seconds: time spent on training so far.
    """

    iteration: int
    rows: tuple[Row, ...]
    arrays: Mapping[str, np.ndarray]
    inside: bool = False
    images_per_second: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """A state and the run that it belongs to; `settings` and `versions` are those of `run.json`."""

    state: State
    settings: dict[str, Any]
    versions: dict[str, str]
    path: Path


def save(run: Path, state: State, settings: Mapping[str, Any], versions: Mapping[str, str]) -> Path:
    """Writes a checkpoint into a run folder; earlier ones stay.

    Raises:
        OSError: the checkpoint cannot be written; what was there is unchanged.
    """
    file = io.BytesIO()
    # `allow_pickle=False` is left out: NumPy below 2.2 would store that as an array.
    np.savez(file, **state.arrays)  # type: ignore[arg-type]
    arrays = file.getvalue()
    lowest = best(state.rows)
    manifest = {
        "iteration": state.iteration,
        "inside": state.inside,
        "images_per_second": state.images_per_second,
        "seconds": state.seconds,
        "settings": settings,
        "recipe_sha256": storage.Digest.of(json.dumps(settings.get("recipe"), sort_keys=True).encode()).sha256,
        "versions": versions,
        "best": lowest and {"iteration": lowest.iteration, "validation_error": lowest.validation_error},
        "rows": [list(row) for row in state.rows],
        "files": {ARRAYS: storage.Digest.of(arrays)._asdict()},
    }
    text = (json.dumps(manifest, indent=1) + "\n").encode()
    path = run / FOLDER / f"{PREFIX}{state.iteration:08d}{INSIDE if state.inside else ''}"
    storage.atomic_write_folder(path, {ARRAYS: arrays, MANIFEST: text, SEAL: _seal(text)})
    return path


def prune(run: Path, keep: set[Path]) -> None:
    """Removes all checkpoints except these."""
    for path in generations(run):
        if path not in keep:
            storage.remove_folder(path)


def generations(run: Path) -> list[Path]:
    """The checkpoints of a run folder, newest first.

    Raises:
        OSError: the folder that holds them cannot be read.
    """
    try:  # not `glob`, which takes a folder that cannot be read for an empty one
        found = [path for path in (run / FOLDER).iterdir() if NAME.fullmatch(path.name)]
    except NOT_THERE:
        return []
    except OSError as error:
        raise _unreadable(run / FOLDER, error) from None
    return sorted(found, key=_order, reverse=True)


def newest(run: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is intact, and a line about each newer one that is not.

    Raises:
        OSError: one cannot be read now, and may be intact.
    """
    damaged: list[str] = []
    for path in generations(run):
        try:
            return read(path), damaged
        except Damaged as error:
            damaged.append(str(error))
    return None, damaged


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint: hashes, then structure, then values.

    Raises:
        OSError: the checkpoint is incomplete or damaged (`Damaged`), or cannot be read now, which says nothing about
            what it holds; the message is one line that names the file.
    """
    try:
        text, seal, data = [(path / name).read_bytes() for name in (MANIFEST, SEAL, ARRAYS)]
    except (*NOT_THERE, IsADirectoryError) as error:
        raise Damaged(f"A checkpoint is intact. Damaged: {path} ({_reason(error)}).") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        if seal != _seal(text):
            raise ValueError(f"{MANIFEST} does not match {SEAL}")
        manifest = json.loads(text)
        if storage.Digest.of(data) != storage.Digest(**manifest["files"][ARRAYS]):
            raise ValueError(f"{ARRAYS} does not match {MANIFEST}")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
        non_finite = [name for name, array in arrays.items() if not np.isfinite(array).all()]
        if non_finite:
            raise ValueError(f"{non_finite[0]} in {ARRAYS} is not finite")
        state = State(
            iteration=manifest["iteration"],
            rows=tuple(Row(*row) for row in manifest["rows"]),
            arrays=arrays,
            inside=manifest["inside"],
            images_per_second=manifest["images_per_second"],
            seconds=manifest["seconds"],
        )
        return Checkpoint(state, manifest["settings"], manifest["versions"], path)
    except (ValueError, KeyError, TypeError, EOFError, OSError, RecursionError, zipfile.BadZipFile) as error:
        raise Damaged(f"A checkpoint is intact. Damaged: {path} ({error}).") from None


def _seal(manifest: bytes) -> bytes:
    return f"{storage.Digest.of(manifest).sha256}  {MANIFEST}\n".encode()


def _order(path: Path) -> tuple[int, bool]:
    iteration = path.name.removeprefix(PREFIX).removesuffix(INSIDE)
    return int(iteration), not path.name.endswith(INSIDE)


def _unreadable(path: Path, error: OSError) -> InputOutput:
    return InputOutput(f"A checkpoint is readable. Received: {path} ({_reason(error)}). Try again once it is.")


def _reason(error: OSError) -> str:
    name = Path(error.filename).name if error.filename else "a file"
    return f"{name}: {error.strerror or error}"
