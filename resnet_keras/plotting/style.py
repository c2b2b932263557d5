"""How every figure looks: panels, colours, labels, files."""

from os import PathLike
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.environment import without
from resnet_keras.runs import storage

LABEL_POINTS, POINTS_PER_INCH = 11, 72
"""Height of a label, and the points in an inch."""
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "resnet_keras",
    "savefig.bbox": "tight",
}


def save(figure: Figure, path: str | PathLike[str]) -> tuple[Path, Path]:
    """Writes the figure as `path`.png and `path`.svg, whether or not `path` has such a suffix, and returns both paths.

    Raises:
        ValueError: the path has no file name.
        OSError: a file cannot be written.
    """
    path = Path(path)
    if not path.name:
        raise InvalidValue(f"A figure is written to a file. Received: {path}.")
    stem = path.name.removesuffix(".png").removesuffix(".svg")
    png, svg = (path.with_name(f"{stem}.{suffix}") for suffix in ("png", "svg"))
    write(figure, png, dpi=160)
    write(figure, svg)
    return png, svg


def write(figure: Figure, path: Path, dpi: int = 100) -> None:
    """Writes one file in the format given by its suffix; the same figure gives the same bytes on any day.

    Raises:
        OSError: the file cannot be written.
    """
    how: dict[str, Any] = {"metadata": {"Date": None}} if path.suffix == ".svg" else {"dpi": dpi}
    # To find the margins, Matplotlib draws an SVG dated today, for which it parses this variable.
    with mpl.rc_context(STYLE), without("SOURCE_DATE_EPOCH"):
        storage.atomic_replace(path, lambda aside: figure.savefig(aside, format=path.suffix[1:], **how))


def new_panels(count: int, labels: tuple[str, ...]) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.2 * count, 3.6), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(1, count, sharey=True)))
    for ax, label in zip(axes, labels, strict=False):
        ax.set_ylabel(label)
        ax.tick_params(labelleft=True)
    return figure, axes


def colours(count: int) -> list[Any]:
    """Colours from light (shallow) to dark (deep)."""
    return [mpl.colormaps["cividis"](share) for share in np.linspace(0.72, 0.0, count)]
