"""What a run folder holds of the requested run: nothing, a checkpoint, or the finished run."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from resnet_keras.errors import Damaged, Difference, InputOutput, InvalidValue, OtherRun
from resnet_keras.runs import checkpoints, reading
from resnet_keras.runs.checkpoints import Checkpoint
from resnet_keras.spec import records
from resnet_keras.spec.kinds import as_now
from resnet_keras.spec.recipe import Recipe

Resume = Literal["auto", "fresh"]
"""What to do with an existing run folder: resume its run, or start over in a new one beside it."""


@dataclass(frozen=True)
class ResumePoint:
    """What a run folder holds of the requested run.

    Attributes:
        recipe: the recipe to train by: the requested one, or the folder's with the requested number of iterations.
        finished: the run, if nothing is left to do.
        checkpoint: where to resume; None is the beginning.
        settings: those of `run.json`, as far as the run got; empty at the beginning.
        warnings: a line about each damaged file.
    """

    recipe: Recipe
    finished: reading.Run | None = None
    checkpoint: Checkpoint | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def folder_for(out: Path, resume: Resume) -> Path:
    """The run folder: `out` or, to start over where that is taken, `out-2`, `out-3`, ...

    Raises:
        ValueError: it is taken, and nothing can be beside it.
    """
    path, number = out, 1
    named = out.resolve() if out.name in ("", "..") else out
    while resume == "fresh" and path.exists() and any(path.iterdir()):
        if not named.name:
            raise InvalidValue(
                f"--fresh starts over in a folder beside --out. Received: {out}, which has none. Choose another --out."
            )
        number += 1
        path = named.with_name(f"{named.name}-{number}")
    return path


def inspect(path: Path, settings: Mapping[str, Any], recipe: Recipe, backend: str) -> ResumePoint:
    """Finds out how far a run has got. Nothing is written.

    Args:
        path: the run folder, which need not exist.
        settings: what is requested: architecture, recipe, data and seed.
        recipe: the recipe in those settings.
        backend: the backend that would train.

    Raises:
        OSError: the folder holds another run or another program's results, a checkpoint cannot be read now, or the
            contents are damaged and no checkpoint is left to fall back on.
    """
    asked = reading.json_roundtrip(settings)
    run, warnings = _read(path)
    if run is not None and run.results is not None and not warnings:
        continued = _continued(run.settings, recipe)
        over = continued is not None and continued.iterations == run.settings["recipe"]["iterations"]
        if continued is not None and over and not _differences(run.settings, asked, continued):
            return ResumePoint(continued, finished=run, settings=run.settings)

    checkpoint, damaged = checkpoints.newest(path)
    held = run.settings if run is not None else checkpoint.settings if checkpoint else None
    if held is None and not warnings and not damaged:
        if foreign := _foreign(path):
            raise InputOutput(
                f"A run folder holds one run. Received: {path}, which holds a {foreign} but no {reading.RUN}: "
                "another program's, perhaps. Choose another --out."
            )
        return ResumePoint(recipe)
    if held is not None:
        continued = _continued(held, recipe)
        # A run is resumed on the backend that computed it.
        if differences := _differences(held, asked | ({"backend": backend} if checkpoint else {}), continued):
            name = held["architecture"].get("name", "another net")
            raise OtherRun(
                f"A run folder holds one run. Received: {path}, which holds a run of {name} with other settings. "
                "Choose another --out, or use --fresh.",
                differences,
            )
        # A run that was killed before its first checkpoint begins again; one whose checkpoints are damaged does not.
        if checkpoint is not None or (run is not None and run.results is None and not damaged):
            going_on = held if checkpoint is not None else {}
            return ResumePoint(continued or recipe, None, checkpoint, going_on, (*warnings, *damaged))
    reason, *_ = *warnings, *damaged, f"A finished run is resumed from its checkpoint. Received: {path} without one."
    raise Damaged(
        f"{reason} No checkpoint is left to resume from; start over with --fresh, which leaves this folder as it is."
    )


def _read(path: Path) -> tuple[reading.Run | None, list[str]]:
    """The run, and a line about any damage to it."""
    if not (path / reading.RUN).exists():
        return None, []
    try:
        run = reading.read(path)
    except InputOutput as error:  # damaged, or killed between writing its first two files
        return None, [str(error)]
    broken = run.damaged_model()
    return run, [f"A model file is unchanged since it was written. Damaged: {broken}."] if broken else []


def _foreign(path: Path) -> str | None:
    """The file in a folder without a run that the run would replace, unless a run killed at its start left it."""
    if (path / reading.MODEL).exists():
        return reading.MODEL
    try:
        begun = (path / reading.METRICS).read_bytes() == records.to_csv(()).encode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return reading.METRICS
    return None if begun else reading.METRICS


def _continued(held: Mapping[str, Any], asked: Recipe) -> Recipe | None:
    """The stored recipe with the requested number of iterations, or None if the recipes differ otherwise."""
    try:
        stored = Recipe.from_dict(held["recipe"])
        begun = Recipe.from_dict(held.get("begun_as") or held["recipe"])
    except (TypeError, KeyError, ValueError):
        return None
    if asked == stored:
        return stored
    if asked.iterations >= stored.iterations and asked.extends(begun):
        # Iterations already run keep their learning rates; the added ones follow at the last rate.
        return replace(stored, iterations=asked.iterations)
    return None


def _differences(held: Mapping[str, Any], asked: Mapping[str, Any], continued: Recipe | None) -> list[Difference]:
    """Where the settings differ; a recipe that continues the stored one is not a difference."""
    fields = [name for name in (*reading.IDENTITY, "backend") if name in asked and name in held]
    held = {**held, "architecture": as_now(held["architecture"])}
    if continued is not None:
        fields.remove("recipe")
    return [
        difference
        for name in fields
        for difference in (_compare_data if name == "data" else _compare)(name, held[name], asked[name])
    ]


def _compare_data(name: str, held: Any, asked: Any) -> Iterator[Difference]:
    """Compares data by fingerprint, whatever its name, and the class names where both sides have them."""
    held, asked = dict(held), dict(asked)
    names = [data.pop("class_names", None) for data in (held, asked)]
    if all(isinstance(one, list) for one in names):
        for label, pair in enumerate(zip_longest(*names)):
            yield from _compare(f"{name}.class_names[{label}]", *pair)
    if any(held.get(key) != asked.get(key) for key in reading.DATA_IDENTITY):
        yield from _compare(name, held, asked)


def _compare(name: str, held: Any, asked: Any) -> Iterator[Difference]:
    if held == asked:
        return
    if isinstance(held, dict) and isinstance(asked, dict):
        for key in dict.fromkeys([*held, *asked]):
            yield from _compare(f"{name}.{key}", held.get(key), asked.get(key))
    else:
        yield Difference(name, *(json.dumps(value) for value in (held, asked)))
