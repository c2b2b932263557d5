"""Figures 1, 4 and 6 from whatever runs are in the folders: each figure takes the runs of its kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

from matplotlib.figure import Figure

from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.plotting.captions import title
from resnet_keras.plotting.curves import Curve, curves, curves_csv, kinds, on_photographs
from resnet_keras.plotting.error_figures import Axis, figure_1, figure_4, figure_6
from resnet_keras.plotting.style import save
from resnet_keras.runs import reading, storage
from resnet_keras.runs.reading import Run

Number = Literal["1", "4", "6"]
NUMBERS: tuple[Number, ...] = get_args(Number)


@dataclass(frozen=True)
class Drawing:
    """A figure and the curves in it.

    Attributes:
        name: name of its files, without suffix.
        caption: a short description.
        figure: the figure to save.
        csv: the values it draws, as CSV.
    """

    name: str
    caption: str
    figure: Figure
    csv: str

    def save(self, path: str | PathLike[str]) -> list[Path]:
        """Writes `path`.png, `.svg` and `.csv`.

        Raises:
            OSError: they cannot be written.
        """
        png, svg = save(self.figure, path)
        storage.atomic_write(csv := png.with_suffix(".csv"), self.csv.encode())
        return [png, svg, csv]


def find(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The runs in folders that may hold anything, and lines about what is left out.

    Raises:
        OSError: a folder does not exist.
    """
    found, skipped = [], []
    for folder in folders:
        if not folder.exists():
            raise InputOutput(f"A figure is drawn from run folders. Not found: {folder}.")
        runs, lines = reading.find_readable(folder)
        found += runs
        skipped += lines
    return found, skipped


def draw(number: Number, runs: Sequence[Run], *, axis: Axis = "fitted", others: Sequence[Curve] = ()) -> Drawing:
    """One figure from the runs of its kind: Figure 4 from those on photographs, 1 and 6 from those on small images.

    Raises:
        ValueError: there are no runs of its kind, or they cannot be compared.
    """
    of_it = [run for run in runs if on_photographs(run) == (number == "4")]
    if not of_it and not others:
        kind = "photographs" if number == "4" else "small images, such as CIFAR-10's,"
        raise InvalidValue(f"Figure {number} shows runs on {kind} with a row of metrics. Received: {len(runs)} others.")
    match number:
        case "1":
            figure = figure_1(of_it, axis=axis, others=others)
        case "4":
            figure, others = figure_4(of_it, axis=axis), ()
        case "6":
            figure = figure_6(of_it, axis=axis, others=others)
    shown = [curve for curve in [*curves(of_it), *others] if number != "1" or not curve.residual]
    return Drawing(f"figure-{number}", f"Figure {number}: {title(of_it)}", figure, curves_csv(shown))


def draw_all(
    runs: Sequence[Run],
    *,
    numbers: Sequence[Number] = NUMBERS,
    axis: Axis = "fitted",
    others: Sequence[Curve] = (),
) -> Iterator[Drawing | str]:
    """Yields the figures with these numbers, each once for every kind of comparable runs, or a line saying why one is
    not drawn. Others' curves stand beside the first kind of runs on the same images, or alone."""
    for number in numbers:
        groups: list[list[Run]] = [kind for kind in kinds(runs) if on_photographs(kind[0]) == (number == "4")]
        waiting = () if number == "4" else others
        drawn: list[Drawing] = []
        lines = (
            [] if groups or waiting else [f"Figure {number} was not drawn: no runs of its kind with a row of metrics."]
        )
        for group in groups:
            try:
                drawing = draw(number, group, axis=axis, others=waiting if _on_cifar10(group) else ())
            except InvalidValue as error:
                more = f" and {len(group) - 1} more" if len(group) > 1 else ""
                lines.append(f"Figure {number} was not drawn from {group[0].path}{more}: {error}")
                continue
            waiting = () if _on_cifar10(group) else waiting
            drawn.append(drawing)
        if waiting:
            try:
                drawn.append(draw(number, (), axis=axis, others=waiting))
            except InvalidValue as error:
                lines.append(f"Figure {number} was not drawn from others' curves: {error}")
        for place, drawing in enumerate(drawn, start=1):
            name = drawing.name if place == 1 else f"{drawing.name}-{place}"
            yield Drawing(name, drawing.caption, drawing.figure, drawing.csv)
        yield from lines


def _on_cifar10(runs: Sequence[Run]) -> bool:
    data = runs[0].settings["data"]
    return (data["name"], data["image_size"]) == ("CIFAR-10", 32)
