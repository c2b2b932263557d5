"""How figures of the analysis show a net: plain nets thin and dashed, residual nets bold, deeper ones darker."""

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from resnet_keras.errors import readable
from resnet_keras.spec.measurements import Subject

WIDTH = 4.2
"""Inches of a figure, which is legible at 8 cm."""
LINES: dict[bool, dict[str, Any]] = {
    False: {"linestyle": (0, (4, 2)), "linewidth": 1.3},
    True: {"linestyle": "-", "linewidth": 1.9},
}
"""Of a net with shortcuts (True) and without."""


def lines(nets: Iterable[Subject]) -> dict[Subject, dict[str, Any]]:
    """Colour, line and label of each net. Depth goes from light to dark in a map that colour-blind readers and grey
    printers tell apart, among plain and among residual nets for itself."""
    looks = {}
    for residual, line in LINES.items():
        shown = sorted({net for net in nets if net.residual == residual}, key=lambda net: (net.depth, net.name))
        shares = np.linspace(0.0, 0.72, len(shown))[::-1]
        for net, share in zip(shown, shares, strict=True):
            looks[net] = line | {"color": mpl.colormaps["cividis"](share), "label": literal(net.name)}
    return looks


def panels(rows: int, height: float) -> tuple[Figure, list[Axes]]:
    """Panels below each other, each `height` inches high."""
    figure = Figure(figsize=(WIDTH, rows * height + 0.6), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(rows, 1)))


def legend(figure: Figure) -> None:
    """One legend for all panels, under them: plain nets left, residual nets right."""
    handles = {
        label: handle for ax in figure.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)


def log_scale(ax: Axes) -> None:
    """A logarithmic axis that bears numbers where it spans less than two decades too."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    short = high < 100 * low
    ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5) if short else (1,)))
    ax.yaxis.set_minor_formatter("{x:g}" if short else NullFormatter())
    if short:
        ax.yaxis.set_major_formatter("{x:g}")


def literal(name: str) -> str:
    """The name as text: matplotlib takes what stands between dollars for mathematics."""
    return readable(name).replace("$", r"\$")
