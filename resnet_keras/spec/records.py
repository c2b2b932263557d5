"""What a run measures: the rows of `metrics.csv`, one per evaluation period, and the results at the end."""

import csv
import io
from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """A row of `metrics.csv`: what was measured over the iterations since the previous row."""

    iteration: int
    """Updates made so far."""
    learning_rate: float
    """Learning rate of the updates since the previous row."""
    train_error: float
    """Percentage of this period's augmented training images that the net got wrong while training on them."""
    validation_error: float
    """Percentage of the held-out images that the net got wrong at the end of the period."""
    cross_entropy: float
    """In nats: mean over the period's training images, without the weight decay penalty."""
    validation_cross_entropy: float
    """In nats."""
    images_per_second: float
    """Training speed, without validation and the period's first update, which may compile. In an interrupted period,
    the speed since the run was resumed."""
    seconds: float
    """Time spent on training so far, without the time between an interruption and resuming."""


TIMES = ("images_per_second", "seconds")
"""The fields of a row that depend on the machine; the others repeat from run to run."""


class Results(NamedTuple):
    """The final errors of a run, in percent."""

    train_error: float
    """Training error of the last period."""
    validation_error: float
    test_error: float | None
    """Error on the test set, evaluated once; None where the data has no test set of its own."""


def best(rows: Iterable[Row]) -> Row | None:
    """The first row with the lowest validation error: for information, not for selection."""
    return min(rows, key=lambda row: row.validation_error, default=None)


def to_csv(rows: Iterable[Row]) -> str:
    """The text of `metrics.csv`."""
    lines = [",".join(Row._fields)]
    lines += [",".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row) for row in rows]
    return "\n".join(lines) + "\n"


def from_csv(text: str) -> tuple[Row, ...]:
    """The rows of `metrics.csv`.

    Raises:
        ValueError, KeyError, TypeError: the text is not such a file.
    """
    return tuple(
        Row(int(line["iteration"]), *(float(line[field]) for field in Row._fields[1:]))
        for line in csv.DictReader(io.StringIO(text))
    )
