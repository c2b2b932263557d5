"""What a run measures: the rows of `metrics.csv`, one per evaluation period, and the results at the end."""

import csv
import io
from collections.abc import Iterable
from typing import NamedTuple


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
    """Trained images; a period's first update, which may compile, and the validation do not count. Of a period that was
    interrupted, those since the run went on."""
    seconds: float
    """Spent on training so far, without the time between an interruption and its continuation."""


TIMES = ("images_per_second", "seconds")
"""The fields of a row that tell of the machine; the others repeat from run to run."""


class Results(NamedTuple):
    """How a run ended, in percent."""

    train_error: float
    """Of the last period."""
    validation_error: float
    test_error: float | None
    """On the test set, evaluated once; None where the data has none of its own."""


def best(rows: Iterable[Row]) -> Row | None:
    """The first row with the lowest validation error: to know, not to choose by."""
    return min(rows, key=lambda row: row.validation_error, default=None)


def to_csv(rows: Iterable[Row]) -> str:
    """The text of `metrics.csv`."""
    lines = [",".join(Row._fields)]
    lines += [",".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row) for row in rows]
    return "\n".join(lines) + "\n"


def from_csv(text: str) -> tuple[Row, ...]:
    """The rows of `metrics.csv`.

    Raises:
        ValueError, KeyError, TypeError: the text is no such file.
    """
    return tuple(
        Row(int(line["iteration"]), *(float(line[field]) for field in Row._fields[1:]))
        for line in csv.DictReader(io.StringIO(text))
    )
