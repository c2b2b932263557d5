"""The run folder: the one contract between training, evaluation, plotting and the docs.

    run.json     what was run (architecture, recipe, data, seed, machine) and, at the end, its results
    metrics.csv  one row per evaluation period, keyed by iteration
    model.keras  what users load

No framework is imported here: a figure needs only these files.
"""

import csv
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

from resnet_keras import saved
from resnet_keras.errors import InputOutput
from resnet_keras.recipe import cifar10_recipe

RUN, METRICS, MODEL = "run.json", "metrics.csv", "model.keras"


class Row(NamedTuple):
    """A row of `metrics.csv`: what was measured over the iterations since the row before."""

    iteration: int
    """Updates made so far."""
    learning_rate: float
    """Of those updates."""
    train_error: float
    """Percent of the augmented training images of this period that the net got wrong as it was trained on them."""
    validation_error: float
    """Percent of the held-out images, at the end of the period."""
    cross_entropy: float
    """Nats, mean over the period's training images, without the weight decay's penalty."""
    validation_cross_entropy: float
    """Nats."""
    images_per_second: float
    """Trained images; a period's first update, which may compile, and the validation do not count."""
    seconds: float
    """Since the start of training."""


class Results(NamedTuple):
    """How a run ended, in percent."""

    train_error: float
    """Of the last period."""
    validation_error: float
    test_error: float
    """On the test set, evaluated once."""


@dataclass(frozen=True)
class Run:
    """A run folder as it was read.

    Attributes:
        path: the folder.
        settings: `run.json`, with `architecture`, `recipe`, `data`, `seed`, ...
        rows: `metrics.csv`.
        results: None while the run has not ended.
    """

    path: Path
    settings: dict[str, Any]
    rows: tuple[Row, ...]
    results: Results | None

    @property
    def name(self) -> str:
        """The network's: "plain-20", "ResNet-56", ..."""
        return str(self.settings["architecture"]["name"])

    @property
    def follows_paper(self) -> bool:
        """Whether the paper's CIFAR-10 numbers may stand beside it: its images, its whole schedule (section 4.2)."""
        data, recipe = self.settings["data"], cifar10_recipe(self.settings["architecture"]["depth"])
        images = (data["name"], data["image_size"]) == ("CIFAR-10", 32)
        return images and self.settings["recipe"] == _through_json(recipe.to_dict())

    def same_settings(self, settings: Mapping[str, Any]) -> bool:
        """Whether it ran what `settings` asks for: network, recipe, data and seed; the machine may differ."""
        asked = _through_json(settings)
        return all(self.settings.get(key) == asked[key] for key in ("architecture", "recipe", "data", "seed"))


def read(path: Path) -> Run:
    """Reads a run folder.

    Raises:
        OSError: no such folder, or files that are not a run's.
    """
    try:
        settings = json.loads((path / RUN).read_text(encoding="utf-8"))
        for field in ("architecture", "recipe", "data", "seed"):
            settings[field]
        with (path / METRICS).open(newline="", encoding="utf-8") as file:
            rows = tuple(
                Row(int(line["iteration"]), *(float(line[field]) for field in Row._fields[1:]))
                for line in csv.DictReader(file)
            )
        results = settings.get("results")
        return Run(path, settings, rows, Results(**results) if results else None)
    except FileNotFoundError as error:
        raise InputOutput(f"A run folder holds {RUN} and {METRICS}. Not found: {error.filename}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputOutput(
            f"The files of a run folder are as this program wrote them. Damaged: {path} ({error})."
        ) from None


def find(path: Path) -> list[Run]:
    """The runs in a folder of run folders, at any depth, sorted by path."""
    return [read(file.parent) for file in sorted(path.rglob(RUN)) if (file.parent / METRICS).exists()]


def finished(path: Path, settings: Mapping[str, Any]) -> Run | None:
    """The run of these settings that has ended in this folder, or None where it is still to be run.

    Raises:
        OSError: the folder holds a run of other settings.
    """
    if not (path / RUN).exists():
        return None
    old = read(path)
    if not old.same_settings(settings):
        raise InputOutput(
            f"A run folder holds one run. Received: {path} with a run of other settings, {old.name}. "
            "Choose another --out."
        )
    return old if old.results is not None else None


class RunFolder:
    """A run folder being written. Every file is whole at any moment: it is written aside, flushed, then renamed."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self._settings = settings
        self._rows: list[Row] = []

    @classmethod
    def create(cls, path: Path, settings: Mapping[str, Any]) -> Self:
        """Makes the folder and its `run.json`.

        A folder that holds an unfinished run of the same settings is started over.

        Args:
            path: the folder; its parents are made.
            settings: what is run; values that JSON can hold.

        Raises:
            OSError: the folder cannot be written, or holds another run or a finished one.
        """
        check_writable(path)
        if finished(path, settings) is not None:
            raise InputOutput(
                f"A run folder holds one run. Received: {path} with a finished run. Choose another --out."
            )
        started = {"started": _now(), "ended": None, "results": None}
        folder = cls(path, {**settings, **started})
        folder._write_run()
        folder._write_metrics()
        return folder

    def record(self, row: Row) -> None:
        """Adds a row to `metrics.csv`."""
        self._rows.append(row)
        self._write_metrics()

    def save_model(self, save: Callable[[Path], None]) -> Path:
        """Writes `model.keras` by `save(path)`."""
        target = self.path / MODEL
        aside = target.with_name(f"new-{MODEL}")  # Keras wants the suffix
        try:
            save(aside)
            # Settings of a test, or of another project, may name a net without describing it.
            if "stages" in self._settings["architecture"]:
                saved.add_architecture(aside, self._settings["architecture"])
            _replace(aside, target)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise InputOutput(f"The model could not be written to {target}: {error.strerror or error}.") from error
        return target

    def finish(self, results: Results) -> None:
        """Writes the results: from now on the run has ended."""
        self._settings |= {"ended": _now(), "results": results._asdict()}
        self._write_run()

    def _write_run(self) -> None:
        _write(self.path / RUN, json.dumps(self._settings, indent=2) + "\n")

    def _write_metrics(self) -> None:
        lines = [",".join(Row._fields)]
        lines += [
            ",".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row) for row in self._rows
        ]
        _write(self.path / METRICS, "\n".join(lines) + "\n")


def check_writable(path: Path) -> None:
    """Makes the folder and tries it.

    Raises:
        OSError: it cannot be made or written.
    """
    trial = path / ".writable"
    try:
        path.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise InputOutput(
            f"Runs are written to a folder of yours. Received: {path} ({error.strerror}). Use --out."
        ) from None


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f"new-{path.name}")
    try:
        aside.write_text(text, encoding="utf-8")
        _replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InputOutput(f"{path} could not be written: {error.strerror or error}.") from error


def _replace(aside: Path, target: Path) -> None:
    with aside.open("r+b") as file:
        os.fsync(file.fileno())
    aside.replace(target)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
