"""Figures 1, 4 and 6 from run folders. No Keras is imported: a figure takes two seconds.

Training error is thin and dashed, validation error bold, as in the paper's Figure 6. Depth goes from light to dark in
a colour map that colour-blind readers and grey printers tell apart, and every curve bears its depth.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.captions import settings_line, title
from resnet_keras.plotting.style import LABEL_POINTS, POINTS_PER_INCH, STYLE, colours, new_panels
from resnet_keras.reports.published import cifar10_error
from resnet_keras.runs.reading import Run
from resnet_keras.spec.records import Row

Axis = Literal["fitted", "paper"]
"""The error axis: from the curves, or as in the paper."""
Part = Literal["train", "validation"]
PAPER_LIMITS, FIGURE_4_LIMITS = (0.0, 20.0), (20.0, 60.0)
"""Of the error axis in the paper's Figures 1 and 6, and in its Figure 4; percent."""
VERY_DEEP = 110
"""Figure 6's right panel compares nets deeper than this with the one of this depth."""
MARK = "D"
"""Of the paper's own numbers."""


@dataclass(frozen=True)
class Curve:
    """The runs of one net that differ in their seed alone.

    Attributes:
        name: of the net.
        depth: its weighted layers.
        residual: whether it has shortcuts.
        seeds: how many runs.
        iteration: (points,).
        train_error, validation_error: (seeds, points), percent.
    """

    name: str
    depth: int
    residual: bool
    seeds: int
    iteration: np.ndarray
    train_error: np.ndarray
    validation_error: np.ndarray


def curves(runs: Iterable[Run]) -> list[Curve]:
    """Groups runs by net, from shallow to deep; seeds are compared at the iterations that all of them have.

    Runs without a row yet are left out.

    Raises:
        ValueError: runs on other images or with other schedules (but for the warm-up), which one figure cannot compare,
            or one net and seed twice.
    """
    ordered = sorted(
        (run for run in runs if run.rows), key=lambda run: (run.settings["architecture"]["depth"], run.name)
    )
    experiments = {json.dumps([run.settings["data"], run.settings["recipe"] | {"warmup": None}]) for run in ordered}
    if len(experiments) > 1:
        paths = ", ".join(str(run.path) for run in ordered)
        raise InvalidValue(
            f"A figure compares runs of one schedule on the same images. Received: {len(experiments)} kinds in {paths}."
        )
    seeds = Counter((run.name, run.settings["seed"]) for run in ordered)
    for (name, seed), count in seeds.items():
        if count > 1:
            raise InvalidValue(f"A curve has one run of each seed. Received: {count} of {name} with seed {seed}.")
    return [_curve(list(group)) for _, group in groupby(ordered, key=lambda run: run.name)]


def figure_1(runs: Sequence[Run], *, axis: Axis = "fitted") -> Figure:
    """Figure 1: training error (left) and validation error (right) of the plain nets.

    Args:
        runs: run folders that were read; residual nets among them are left out.
        axis: limits of the error axis.

    Raises:
        ValueError: no plain net among the runs.
    """
    plain = [curve for curve in curves(runs) if not curve.residual]
    if not plain:
        raise InvalidValue("Figure 1 shows plain nets. Received: runs of residual nets only.")
    with mpl.rc_context(STYLE):
        figure, axes = new_panels(2, ("training error (%)", "validation error (%)"))
        _draw_panel(axes[0], plain, ("train",))
        _draw_panel(axes[1], plain, ("validation",))
        _finish(figure, axes, runs, axis)
        _label_ends(axes[0], plain, ("train",))
        _label_ends(axes[1], plain, ("validation",))
    return figure


def figure_4(runs: Sequence[Run], *, axis: Axis = "fitted") -> Figure:
    """Figure 4: plain nets (left) and residual nets (right) on photographs; training error and centre-crop error.

    The paper's are of 18 and 34 layers; the same two panels show whatever depths there are.

    Args:
        runs: run folders that were read.
        axis: limits of the error axis; "paper" is 20 to 60 %.

    Raises:
        ValueError: no runs.
    """
    every = curves(runs)
    panels = [
        ("plain nets", [curve for curve in every if not curve.residual]),
        ("residual nets", [curve for curve in every if curve.residual]),
    ]
    panels = [panel for panel in panels if panel[1]]
    if not panels:
        raise InvalidValue("A figure needs runs with at least one row of metrics. Received: none.")
    with mpl.rc_context(STYLE):
        figure, axes = new_panels(len(panels), ("error (%)",))
        for ax, (title, shown) in zip(axes, panels, strict=True):
            ax.set_title(title, fontsize=10)
            _draw_panel(ax, shown, ("train", "validation"))
        _legend(axes[0], marks=False, validation="validation, centre crop")
        _finish(figure, axes, runs, axis, FIGURE_4_LIMITS)
        for ax, (_, shown) in zip(axes, panels, strict=True):
            _label_ends(ax, shown, ("train", "validation"))
    return figure


def figure_6(runs: Sequence[Run], *, axis: Axis = "fitted") -> Figure:
    """Figure 6: plain nets (left), residual nets (middle) and, where there are any, nets of 110 layers and more
    (right).

    Args:
        runs: run folders that were read.
        axis: limits of the error axis.

    Raises:
        ValueError: no runs.
    """
    every = curves(runs)
    if not every:
        raise InvalidValue("A figure needs runs with at least one row of metrics. Received: none.")
    panels = [
        ("plain nets", [curve for curve in every if not curve.residual]),
        ("residual nets", [curve for curve in every if curve.residual and curve.depth <= VERY_DEEP]),
        ("very deep residual nets", [curve for curve in every if curve.residual and curve.depth >= VERY_DEEP]),
    ]
    if not any(curve.depth > VERY_DEEP for curve in every):
        panels.pop()
    panels = [panel for panel in panels if panel[1]]
    with mpl.rc_context(STYLE):
        figure, axes = new_panels(len(panels), ("error (%)",))
        for ax, (title, shown) in zip(axes, panels, strict=True):
            ax.set_title(title, fontsize=10)
            _draw_panel(ax, shown, ("train", "validation"))
            if all(run.follows_paper for run in runs):
                _mark_paper(ax, shown)
        _legend(axes[0], marks=any(line.get_marker() == MARK for ax in axes for line in ax.lines))
        _finish(figure, axes, runs, axis)
        for ax, (_, shown) in zip(axes, panels, strict=True):
            _label_ends(ax, shown, ("train", "validation"))
    return figure


def _curve(runs: list[Run]) -> Curve:
    # By iteration: a run that was lengthened measures at others than one that was as long from the start.
    rows = [{row.iteration: row for row in run.rows} for run in runs]
    shared = sorted(set(rows[0]).intersection(*rows))
    if not shared:
        paths = ", ".join(str(run.path) for run in runs)
        raise InvalidValue(
            f"Seeds of one net are compared where all were measured. Received: no such point in {paths}."
        )

    def values(field: Callable[[Row], float]) -> np.ndarray:
        return np.array([[field(by_iteration[iteration]) for iteration in shared] for by_iteration in rows])

    architecture = runs[0].settings["architecture"]
    return Curve(
        name=runs[0].name,
        depth=architecture["depth"],
        residual=architecture.get("shortcut") is not None,
        seeds=len(runs),
        iteration=np.array(shared),
        train_error=values(lambda row: row.train_error),
        validation_error=values(lambda row: row.validation_error),
    )


def _draw_panel(ax: Axes, shown: Sequence[Curve], parts: tuple[Part, ...]) -> None:
    for curve, colour in zip(shown, colours(len(shown)), strict=True):
        for part in parts:
            errors = curve.train_error if part == "train" else curve.validation_error
            bold = part == "validation"
            mean = errors.mean(axis=0)
            ax.plot(
                curve.iteration,
                mean,
                color=colour,
                linestyle="-" if bold else (0, (4, 2)),
                linewidth=2.2 if bold else 1.1,
            )
            if curve.seeds > 1:
                deviation = errors.std(axis=0, ddof=1)
                low, high = mean - deviation, mean + deviation
                ax.fill_between(curve.iteration, low, high, color=colour, alpha=0.2, linewidth=0)


def _label_ends(ax: Axes, shown: Sequence[Curve], parts: tuple[Part, ...]) -> None:
    """Writes each depth beside the end of its curve; labels that would lie on each other are moved apart."""
    labelled = [curve.validation_error if "validation" in parts else curve.train_error for curve in shown]
    low, high = ax.get_ylim()
    gap = LABEL_POINTS / (ax.bbox.height / ax.figure.dpi * POINTS_PER_INCH) * (high - low)
    ends = np.clip([errors.mean(axis=0)[-1] for errors in labelled], low, high)
    upward = np.argsort(ends, kind="stable")
    heights = ends[upward]
    for k in range(1, len(heights)):
        heights[k] = max(heights[k], heights[k - 1] + gap)
    heights -= (heights - ends[upward]).mean()
    depths = Counter(curve.depth for curve in shown)
    for index, height in zip(upward, heights, strict=True):
        curve = shown[index]
        ax.annotate(
            f"{curve.depth}-layer" if depths[curve.depth] == 1 else curve.name,
            (curve.iteration[-1], height),
            xytext=(5, 0),
            textcoords="offset points",
            color=colours(len(shown))[index],
            va="center",
            fontweight="bold",
            annotation_clip=False,
            parse_math=False,
        )


def _mark_paper(ax: Axes, shown: Sequence[Curve]) -> None:
    """The paper's test errors, at the end of each curve."""
    for curve, colour in zip(shown, colours(len(shown)), strict=True):
        error = cifar10_error(curve.name)
        if error is not None:
            ax.plot(curve.iteration[-1], error, marker=MARK, markersize=5, color=colour, clip_on=False, zorder=5)


def _legend(ax: Axes, *, marks: bool, validation: str = "validation") -> None:
    handles = [
        mpl.lines.Line2D([], [], color="black", linewidth=1.1, linestyle=(0, (4, 2)), label="training"),
        mpl.lines.Line2D([], [], color="black", linewidth=2.2, label=validation),
    ]
    if marks:
        paper = mpl.lines.Line2D(
            [], [], color="black", marker=MARK, markersize=5, linestyle="", label="paper, test error"
        )
        handles.append(paper)
    ax.legend(handles=handles, loc="best", frameon=False)


def _finish(
    figure: Figure,
    axes: Sequence[Axes],
    runs: Sequence[Run],
    axis: Axis,
    limits: tuple[float, float] = PAPER_LIMITS,
) -> None:
    for ax in axes:
        ax.set_xlabel("iteration")
        ax.set_xlim(left=0)
        ax.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3), useMathText=True)
    if axis == "paper":
        axes[0].set_ylim(*limits)
    figure.suptitle(title(runs), fontsize=11, fontweight="bold", parse_math=False)
    figure.supxlabel(settings_line(runs), fontsize=7.5, color="#555555", parse_math=False)
