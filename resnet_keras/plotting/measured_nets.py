"""How the analysis figures show nets: plain nets thin and dashed, residual nets bold, deeper ones darker."""

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
"""Width of a figure in inches; it is legible at 8 cm."""
LINES: dict[bool, dict[str, Any]] = {
    False: {"linestyle": (0, (4, 2)), "linewidth": 1.3},
    True: {"linestyle": "-", "linewidth": 1.9},
}
"""Line style of nets with shortcuts (True) and without (False)."""


def lines(nets: Iterable[Subject]) -> dict[Subject, dict[str, Any]]:
    """Colour, line style and label of each net. Depth runs from light to dark, separately for plain and residual nets,
    in a colour map that stays legible to colour-blind readers and in greyscale print."""
    looks = {}
    for residual, line in LINES.items():
        shown = sorted({net for net in nets if net.residual == residual}, key=lambda net: (net.depth, net.name))
        shares = np.linspace(0.0, 0.72, len(shown))[::-1]
        for net, share in zip(shown, shares, strict=True):
            looks[net] = line | {"color": mpl.colormaps["cividis"](share), "label": literal(net.name)}
    return looks


def panels(rows: int, height: float) -> tuple[Figure, list[Axes]]:
    """Panels one below the other, each `height` inches high."""
    figure = Figure(figsize=(WIDTH, rows * height + 0.6), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(rows, 1)))


def legend(figure: Figure) -> None:
    """Adds one legend for all panels, under them: plain nets on the left, residual nets on the right."""
    handles = {
        label: handle for ax in figure.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)


def log_scale(ax: Axes) -> None:
    """Makes the y axis logarithmic, with tick labels even where it spans less than two decades."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    short = high < 100 * low
    ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5) if short else (1,)))
    ax.yaxis.set_minor_formatter("{x:g}" if short else NullFormatter())
    if short:
        ax.yaxis.set_major_formatter("{x:g}")


def literal(name: str) -> str:
    """The name as plain text: Matplotlib reads whatever stands between dollar signs as mathematics."""
    return readable(name).replace("$", r"\$")
