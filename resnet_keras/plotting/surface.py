"""The loss along a line or over a plane through each net's weights, on one scale for all nets."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.measured_nets import WIDTH, legend, lines, literal, log_scale, panels
from resnet_keras.plotting.style import STYLE
from resnet_keras.spec.measurements import Surface

MOST_LOSS = 100.0
"""Higher losses share one colour: a net with perturbed weights can have a loss of any size."""
LEVELS = 15


def surface_figure(scans: Sequence[Surface], *, data: str) -> Figure:
    """Draws a curve for each net if the points lie on a line, or a contour panel for each net if they span a plane.

    Args:
        scans: the scan of each net, all with the same points.
        data: name of the images in the title.

    Raises:
        ValueError: nothing was measured, or a net has no finite loss.
    """
    if not scans or not all(np.isfinite([point.loss for point in scan.points]).any() for scan in scans):
        raise InvalidValue("The figure shows the loss around nets. Received: none, or one without a finite loss.")
    on_line = all(point.beta == 0 for scan in scans for point in scan.points)
    with mpl.rc_context(STYLE):
        figure = _line(scans) if on_line else _plane(scans)
        figure.suptitle(f"Loss on {literal(data)}", fontsize=10, fontweight="bold")
    return figure


def _line(scans: Sequence[Surface]) -> Figure:
    figure, (ax,) = panels(1, 2.8)
    looks = lines([scan.net for scan in scans])
    for scan in scans:
        points = sorted(scan.points)
        ax.plot([point.alpha for point in points], [point.loss for point in points], **looks[scan.net])
    log_scale(ax)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("step along the direction")
    ax.set_ylabel("cross-entropy")
    legend(figure)
    return figure


def _plane(scans: Sequence[Surface]) -> Figure:
    rows = -(-len(scans) // 2)
    columns = min(2, len(scans))
    figure = Figure(figsize=(WIDTH, 1.1 + rows * WIDTH / columns), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    grids = [_grid(scan) for scan in scans]
    finite = np.concatenate([loss[np.isfinite(loss)].ravel() for _, _, loss in grids])
    low, high = max(finite.min(), 1e-4), min(finite.max(), MOST_LOSS)
    levels = np.geomspace(low, max(high, 1.01 * low), LEVELS)
    for ax, scan, (alpha, beta, loss) in zip(axes, scans, grids, strict=False):
        clipped = np.clip(np.nan_to_num(loss, nan=np.inf), low, levels[-1])
        filled = ax.contourf(alpha, beta, clipped, levels, norm=LogNorm(), cmap="cividis")
        ax.contour(alpha, beta, clipped, levels[1:-1], colors="white", linewidths=0.4)
        ax.plot(0, 0, marker="+", color="white", markersize=7)
        ax.set_aspect("equal")
        ax.set_title(literal(scan.net.name), fontsize=9)
        ax.grid(visible=False)
    for ax in axes[: len(scans)]:
        ax.set_xlabel("step, first direction", fontsize=8)
    axes[0].set_ylabel("step, second direction", fontsize=8)
    for ax in axes[len(scans) :]:
        ax.remove()
    bar = figure.colorbar(filled, ax=list(axes[: len(scans)]), location="bottom", shrink=0.9, aspect=30)
    ticks = [tick for tick in (0.001, 0.01, 0.1, 1, 10, 100) if low <= tick <= levels[-1]]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    beyond = not all((loss <= high).all() for _, _, loss in grids)
    bar.set_label(f"cross-entropy{f' (lightest: {high:.3g} or more, or not finite)' if beyond else ''}")
    return figure


def _grid(scan: Surface) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    alpha, beta = (np.unique([getattr(point, field) for point in scan.points]) for field in ("alpha", "beta"))
    loss = np.full((len(beta), len(alpha)), np.nan)
    for point in scan.points:
        loss[np.searchsorted(beta, point.beta), np.searchsorted(alpha, point.alpha)] = point.loss
    return alpha, beta, loss
