"""Curves in a terminal: validation errors as lines, training errors as dots, in braille characters of 2 x 4 dots.

Rich draws no charts; plotext does, but its versions 5 and 6 share no function.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from rich.console import Group
from rich.text import Text

from resnet_keras.runs.reading import Run

COLOURS = ("bright_blue", "yellow", "bright_magenta", "green", "bright_red", "cyan")
"""Colours that are distinct in most terminals, also on a dark background; a line below the chart names each run."""
BRAILLE, BITS = 0x2800, ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
MARGIN = 7
"""Characters to the left of the chart."""


def terminal_curves(runs: Sequence[Run], *, width: int, height: int) -> Group:
    """The chart, and a line about each run.

    Args:
        runs: the runs as they are now; those without a row get a line only.
        width: total width, in characters.
        height: height of the chart, in lines.
    """
    drawn = [run for run in runs if run.rows]
    lines = [_line(run, COLOURS[number % len(COLOURS)]) for number, run in enumerate(runs)]
    if not drawn:
        return Group(*lines)
    columns = max(10, width - MARGIN)
    last = max(run.rows[-1].iteration for run in drawn)
    errors = [error for run in drawn for row in run.rows for error in (row.train_error, row.validation_error)]
    low, high = min(errors), max(max(errors), min(errors) + 1e-9)
    dots = np.zeros((4 * height, 2 * columns), np.int64)  # number of the run, from 1

    def place(iteration: int, error: float) -> tuple[float, float]:
        return iteration / last * (2 * columns - 1), (high - error) / (high - low) * (4 * height - 1)

    for number, run in enumerate(runs, start=1):
        for field, every in (("train_error", 4), ("validation_error", 1)):
            points = [place(row.iteration, getattr(row, field)) for row in run.rows]
            for (x, y), (next_x, next_y) in pairwise(points if len(points) > 1 else points * 2):
                count = int(max(abs(next_x - x), abs(next_y - y))) + 1
                steps = np.linspace(0, 1, count + 1)
                across = np.rint(x + steps * (next_x - x)).astype(int)
                down = np.rint(y + steps * (next_y - y)).astype(int)
                shown = across % every == 0
                dots[down[shown], across[shown]] = number
    chart = Text()
    for row in range(height):
        label = {0: f"{high:.1f} %", height - 1: f"{low:.1f} %"}.get(row, "")
        chart.append(f"{label:>{MARGIN - 1}} ")
        for column in range(columns):
            cell = dots[4 * row : 4 * row + 4, 2 * column : 2 * column + 2]
            bits = sum(BITS[y][x] for y, x in zip(*np.nonzero(cell), strict=True))
            chart.append(chr(BRAILLE + bits), style=COLOURS[(cell.max() - 1) % len(COLOURS)] if bits else "")
        chart.append("\n")
    end = f"iteration {last:,}"
    chart.append(" " * MARGIN + "0" + end.rjust(columns - 1))
    return Group(chart, *lines)


def _line(run: Run, colour: str) -> Text:
    text = Text(overflow="fold")
    text.append("━━ ", style=colour)
    text.append(f"{run.name} seed {run.settings['seed']}  ")
    if run.rows:
        row = run.rows[-1]
        text.append(
            f"{row.iteration:,} of {run.settings['recipe']['iterations']:,}  rate {row.learning_rate:g}  "
            f"training {row.train_error:.2f} % (dots)  validation {row.validation_error:.2f} % (line)  "
        )
    text.append("not measured yet" if not run.rows else "finished" if run.results else "running, or interrupted")
    return text
