"""Curves measured by other projects, to be drawn beside ours in Figures 1 and 6; read from two kinds of CSV file.

    epoch,train_loss,train_err,test_err                                    one row per epoch, errors as shares
    iteration,minibatch_loss,minibatch_accuracy,test_loss,test_accuracy    one row per log line, accuracies as shares

The file name gives the net and its source: `yihui-he-resnet20.csv`, or `plainnet20.csv` in the folder `a-martyn`.
"""

import csv
import re
from os import PathLike
from pathlib import Path

import numpy as np

from resnet_keras.errors import Damaged, InputOutput, InvalidValue
from resnet_keras.plotting.curves import Curve

PER_EPOCH = ("epoch", "train_loss", "train_err", "test_err")
PER_ITERATION = ("iteration", "minibatch_loss", "minibatch_accuracy", "test_loss", "test_accuracy")
ITERATIONS_PER_EPOCH = 391
"""50,000 images in batches of 128, the last one smaller."""
NAME = re.compile(r"(?:(?P<source>.+)-)?(?P<kind>plain|res)-?(?:net)?-?(?P<depth>\d{1,4})", re.IGNORECASE)
Points = list[tuple[int, float, float]]
"""Iteration, training error and test error; errors in percent."""


def read_curve(path: str | PathLike[str]) -> Curve:
    """Reads the curve in a file; its "validation error" is the test error, which such projects log.

    Raises:
        OSError: the file does not exist, or is of neither kind.
        ValueError: the file name does not name a net.
    """
    path = Path(path)
    said = NAME.fullmatch(path.stem)
    if said is None:
        raise InvalidValue(f"Others' files are named after their net, like resnet20.csv. Received: {path.name}.")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = [*csv.reader(file)] or [[]]
        if tuple(head) == PER_EPOCH:
            points = _per_epoch(rows)
        elif tuple(head) == PER_ITERATION:
            points = _per_iteration(rows)
        else:
            raise InputOutput(
                f"Others' curves begin with {','.join(PER_EPOCH)} or {','.join(PER_ITERATION)}. Received: {path}."
            )
        if not points:
            raise InputOutput(f"Others' curves have a row with a test error. Received: {path} without one.")
        iteration, train, test = (np.array(column) for column in zip(*points, strict=True))
    except FileNotFoundError:
        raise InputOutput(f"Others' curves are CSV files. Not found: {path}.") from None
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise Damaged(f"A row of others' curves consists of numbers. Received: {path} ({error}).") from None
    residual = said["kind"].lower() == "res"
    depth = int(said["depth"])
    name = f"{'ResNet' if residual else 'plain'}-{depth}"
    source = said["source"] or path.resolve().parent.name
    return Curve(name, depth, residual, 1, iteration, train[None], test[None], source)


def _per_epoch(rows: list[list[str]]) -> Points:
    return [
        ((int(epoch) + 1) * ITERATIONS_PER_EPOCH, 100 * float(train), 100 * float(test))
        for epoch, _, train, test in rows
    ]


def _per_iteration(rows: list[list[str]]) -> Points:
    """One point per test; its training error is the mean over the minibatches logged since the previous test."""
    points, since = [], list[float]()
    for iteration, _, minibatch, _, test in rows:
        if minibatch:
            since.append(100 * (1 - float(minibatch)))
        if test and since:
            points.append((int(iteration), float(np.mean(since)), 100 * (1 - float(test))))
            since = []
    return points
