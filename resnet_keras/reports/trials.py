"""The trials of a search, read from their run folders: what they tried, and the validation error they ended with."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from resnet_keras.reports.tables import Table
from resnet_keras.runs import reading
from resnet_keras.spec.measurements import to_csv

FOLDER, CSV = "trials", "trials.csv"
"""In a search's folder: where its run folders are, and the file with a row for each."""


@dataclass(frozen=True)
class Trial:
    """One run of a search.

    Attributes:
        run: its folder, relative to the search's.
        learning_rate: learning rate of the first updates.
        weight_decay: as in the recipe.
        depth: weighted layers.
        shortcut: option A, B or C, or "none" for a plain net.
        width: filters of the first stage.
        batch_size: images per update.
        iterations: updates that it was given in all.
        validation_error: in percent, at its end; None if it has not ended, or diverged.
    """

    run: str
    learning_rate: float
    weight_decay: float
    depth: int
    shortcut: str
    width: int
    batch_size: int
    iterations: int
    validation_error: float | None


def read(folder: Path) -> tuple[list[Trial], list[str]]:
    """The trials of a search's folder, in the order in which they began, and a line about each damaged one."""
    runs, skipped = reading.find_readable(folder / FOLDER)
    return sorted((_trial(run, folder) for run in runs), key=lambda trial: (len(trial.run), trial.run)), skipped


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that have an error, the lowest first."""
    ended = [trial for trial in trials if trial.validation_error is not None]
    return sorted(ended, key=lambda trial: trial.validation_error or 0.0)


def csv(trials: Sequence[Trial]) -> str:
    """The text of `trials.csv`: one row per trial, blank where it has no error."""
    return to_csv([field.name for field in fields(Trial)], map(astuple, trials))


def table(trials: Sequence[Trial], most: int = 10) -> Table:
    """The best of the trials, as a table."""
    ordered = best_first(trials)[:most]
    return Table(
        ("no.", "error %", "rate", "decay", "depth", "option", "width", "batch", "updates"),  # fits 80 columns
        tuple(
            (
                Path(one.run).name.removeprefix("trial-"),
                f"{one.validation_error:.2f}",
                *(f"{value:.2g}" for value in (one.learning_rate, one.weight_decay)),
                *(str(value) for value in (one.depth, one.shortcut, one.width, one.batch_size, one.iterations)),
            )
            for one in ordered
        ),
    )


def _trial(run: reading.Run, folder: Path) -> Trial:
    network, recipe = run.settings["architecture"], run.recipe
    return Trial(
        run.path.relative_to(folder).as_posix(),
        recipe.learning_rate,
        recipe.weight_decay,
        network["depth"],
        network["shortcut"] or "none",
        network["stages"][0]["filters"],
        recipe.batch_size,
        recipe.iterations,
        run.results.validation_error if run.results else None,
    )
