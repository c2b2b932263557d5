"""Figures 1, 4 and 6 from run folders. Keras is not imported: a figure takes two seconds.

Training error is thin and dashed, validation error bold, as in the paper's Figure 6. Depth runs from light to dark in
a colour map that stays legible to colour-blind readers and in greyscale print, and every curve is labelled with its
depth.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.captions import settings_line, title
from resnet_keras.plotting.curves import Curve, curves
from resnet_keras.plotting.measured_nets import literal
from resnet_keras.plotting.style import LABEL_POINTS, POINTS_PER_INCH, STYLE, colours, new_panels
from resnet_keras.reports.published import cifar10_error
from resnet_keras.runs.reading import Run
from resnet_keras.spec.paper_nets import CIFAR10_SIZE

Axis = Literal["fitted", "paper"]
"""Limits of the error axis: fitted to the curves, or as in the paper."""
Part = Literal["train", "validation"]
PAPER_LIMITS, FIGURE_4_LIMITS = (0.0, 20.0), (20.0, 60.0)
"""Limits of the error axis in the paper's Figures 1 and 6, and in its Figure 4; percent."""
VERY_DEEP = 110
"""The right panel of Figure 6 compares nets deeper than this with the net of this depth."""
MARK = "D"
"""Marker of the paper's own results."""
LINES: tuple[dict[Part, tuple[Any, float]], ...] = (
    {"train": ((0, (4, 2)), 1.1), "validation": ("-", 2.2)},
    {"train": ((0, (1, 1.5)), 0.9), "validation": ((0, (6, 1.2, 1, 1.2)), 1.5)},
    {"train": ((0, (1, 4)), 0.9), "validation": ((0, (3, 1, 1, 1, 1, 1)), 1.5)},
)
"""Dashes and line widths: of our curves, then of the first and second other source."""
INSIDE, BESIDE = 4, 1.8
"""Most lines of a legend among the curves; a longer one stands beside the panels, and takes so many inches."""


def figure_1(runs: Sequence[Run], *, axis: Axis = "fitted", others: Sequence[Curve] = ()) -> Figure:
    """Figure 1: training error (left) and validation error (right) of the plain nets.

    Args:
        runs: the runs; residual nets among them are left out.
        axis: limits of the error axis.
        others: curves of other projects, drawn beside ours.

    Raises:
        ValueError: there is no plain net, or others' curves are given with runs that are not on CIFAR-10.
    """
    plain = [curve for curve in _all(runs, others) if not curve.residual]
    if not plain:
        raise InvalidValue("Figure 1 shows plain nets. Received: no runs, or runs of residual nets only.")
    parts: tuple[Part, Part] = ("train", "validation")
    with mpl.rc_context(STYLE):
        figure, axes = new_panels(2, ("training error (%)", f"{_held_out(runs)} error (%)"))
        for ax, part in zip(axes, parts, strict=True):
            _draw_panel(ax, plain, (part,))
            if others:
                _legend(figure, ax, plain, (part,), marks=False)
        shown = [run for run in runs if run.name in {curve.name for curve in plain}]
        _finish(figure, axes, shown, axis, others=bool(others))
        for ax, part in zip(axes, parts, strict=True):
            _label_ends(ax, plain, (part,))
    return figure


def figure_4(runs: Sequence[Run], *, axis: Axis = "fitted") -> Figure:
    """Figure 4: plain nets (left) and residual nets (right) on photographs; training error and centre-crop error.

    The paper's nets have 18 and 34 layers; the same two panels show whatever depths the runs have.

    Args:
        runs: the runs.
        axis: limits of the error axis; "paper" is 20 to 60 %.

    Raises:
        ValueError: there are no runs.
    """
    every = _all(runs, ())
    panels = [
        ("plain nets", [curve for curve in every if not curve.residual]),
        ("residual nets", [curve for curve in every if curve.residual]),
    ]
    return _panels(panels, runs, axis, FIGURE_4_LIMITS, validation="validation, centre crop")


def figure_6(runs: Sequence[Run], *, axis: Axis = "fitted", others: Sequence[Curve] = ()) -> Figure:
    """Figure 6: plain nets (left), residual nets (middle) and, if there are any, nets of 110 layers and more (right).

    Args:
        runs: the runs.
        axis: limits of the error axis.
        others: curves of other projects, drawn beside ours.

    Raises:
        ValueError: there are no runs, or others' curves are given with runs that are not on CIFAR-10.
    """
    every = _all(runs, others)
    panels = [
        ("plain nets", [curve for curve in every if not curve.residual]),
        ("residual nets", [curve for curve in every if curve.residual and curve.depth <= VERY_DEEP]),
        ("very deep residual nets", [curve for curve in every if curve.residual and curve.depth >= VERY_DEEP]),
    ]
    if not any(curve.residual and curve.depth > VERY_DEEP for curve in every):
        panels.pop()
    marks = all(run.follows_paper for run in runs)
    return _panels(panels, runs, axis, PAPER_LIMITS, marks=marks, validation=_held_out(runs))


def _panels(
    panels: Sequence[tuple[str, list[Curve]]],
    runs: Sequence[Run],
    axis: Axis,
    limits: tuple[float, float],
    *,
    marks: bool = False,
    validation: str = "validation",
) -> Figure:
    panels = [panel for panel in panels if panel[1]]
    if not panels:
        raise InvalidValue("A figure needs runs with at least one row of metrics. Received: none.")
    parts: tuple[Part, Part] = ("train", "validation")
    with mpl.rc_context(STYLE):
        figure, axes = new_panels(len(panels), ("error (%)",))
        for ax, (title, shown) in zip(axes, panels, strict=True):
            ax.set_title(title, fontsize=10)
            _draw_panel(ax, shown, parts)
            if marks:
                _mark_paper(ax, shown)
        every = [curve for _, shown in panels for curve in shown]
        marked = any(line.get_marker() == MARK for ax in axes for line in ax.lines)
        _legend(figure, axes[0], every, parts, marks=marked, validation=validation)
        _finish(figure, axes, runs, axis, limits, others=bool(_sources(every)))
        for ax, (_, shown) in zip(axes, panels, strict=True):
            _label_ends(ax, shown, parts)
    return figure


def _held_out(runs: Sequence[Run]) -> str:
    """The images of the second error: where none are held out, the test images, as in the paper."""
    return "test" if any(run.all_images for run in runs) else "validation"


def _all(runs: Sequence[Run], others: Sequence[Curve]) -> list[Curve]:
    """Our curves, then the others'; each from shallow to deep."""
    ours = curves(runs)
    for run in runs if others else ():
        data = run.settings["data"]
        if (data["name"], data["image_size"]) != ("CIFAR-10", CIFAR10_SIZE):
            raise InvalidValue(
                f"Others' curves are for CIFAR-10 at {CIFAR10_SIZE} pixels, and so are the runs beside them. "
                f"Received: {run.path} on {data['name']} at {data['image_size']}."
            )
    if len(_sources(others)) >= len(LINES):
        raise InvalidValue(
            f"A figure distinguishes at most {len(LINES) - 1} other sources. Received: {_sources(others)}."
        )
    return [*ours, *sorted(others, key=lambda curve: (curve.depth, curve.name))]


def _sources(shown: Sequence[Curve]) -> list[str]:
    return sorted({curve.source for curve in shown if curve.source is not None})


def _lines(shown: Sequence[Curve]) -> dict[str | None, dict[Part, tuple[Any, float]]]:
    return dict(zip((None, *_sources(shown)), LINES, strict=False))


def _colour_of(shown: Sequence[Curve]) -> dict[str, Any]:
    """Colours by net: the same net has the same colour, whoever trained it."""
    names = [name for _, name in sorted({(curve.depth, curve.name) for curve in shown})]
    return dict(zip(names, colours(len(names)), strict=True))


def _draw_panel(ax: Axes, shown: Sequence[Curve], parts: tuple[Part, ...]) -> None:
    looks, colour_of = _lines(shown), _colour_of(shown)
    for curve in shown:
        colour = colour_of[curve.name]
        for part in parts:
            errors = curve.train_error if part == "train" else curve.validation_error
            dashes, width = looks[curve.source][part]
            mean = errors.mean(axis=0)
            order = 3 if curve.source is None else 2
            ax.plot(curve.iteration, mean, color=colour, linestyle=dashes, linewidth=width, zorder=order)
            if curve.seeds > 1:
                deviation = errors.std(axis=0, ddof=1)
                low, high = mean - deviation, mean + deviation
                ax.fill_between(curve.iteration, low, high, color=colour, alpha=0.2, linewidth=0)


def _label_ends(ax: Axes, shown: Sequence[Curve], parts: tuple[Part, ...]) -> None:
    """Writes each depth beside the end of its curve; labels that would overlap are moved apart."""
    colour_of = _colour_of(shown)
    # Each net once, where its longest curve ends: ours may not be finished.
    by_length = sorted(shown, key=lambda curve: curve.iteration[-1])
    longest = {curve.name: curve for curve in by_length}
    shown = [curve for curve in shown if longest[curve.name] is curve]
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
            color=colour_of[curve.name],
            va="center",
            fontweight="bold",
            annotation_clip=False,
            parse_math=False,
        )


def _mark_paper(ax: Axes, shown: Sequence[Curve]) -> None:
    """Marks the paper's test errors at the ends of the curves."""
    colour_of = _colour_of(shown)
    by_length = sorted(shown, key=lambda curve: curve.iteration[-1])
    for curve in {curve.name: curve for curve in by_length}.values():
        error = cifar10_error(curve.name)
        if error is not None:
            colour = colour_of[curve.name]
            ax.plot(curve.iteration[-1], error, marker=MARK, markersize=5, color=colour, clip_on=False, zorder=5)


def _legend(
    figure: Figure,
    ax: Axes,
    shown: Sequence[Curve],
    parts: tuple[Part, ...],
    *,
    marks: bool,
    validation: str = "validation",
) -> None:
    handles = []
    for source, looks in _lines(shown).items():
        if all(curve.source != source for curve in shown):
            continue
        names: dict[Part, str] = {"train": "training", "validation": validation if source is None else "test"}
        owner = "" if source is None else f"{literal(source)}, "
        if source is None and _sources(shown):
            owner = "ours, "
        for part in parts:
            dashes, width = looks[part]
            line = mpl.lines.Line2D([], [], color="black", linewidth=width, linestyle=dashes)
            line.set_label(f"{owner}{names[part]}")
            handles.append(line)
    if marks:
        paper = mpl.lines.Line2D(
            [], [], color="black", marker=MARK, markersize=5, linestyle="", label="paper, test error"
        )
        handles.append(paper)
    if len(handles) > INSIDE:
        figure.set_figwidth(figure.get_figwidth() + BESIDE)
        figure.legend(handles=handles, loc="outside right center", frameon=False)
    else:
        ax.legend(handles=handles, loc="best", frameon=False)


def _finish(
    figure: Figure,
    axes: Sequence[Axes],
    runs: Sequence[Run],
    axis: Axis,
    limits: tuple[float, float] = PAPER_LIMITS,
    *,
    others: bool = False,
) -> None:
    for ax in axes:
        ax.set_xlabel("iteration")
        ax.set_xlim(left=0)
        ax.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3), useMathText=True)
    if axis == "paper":
        axes[0].set_ylim(*limits)
    figure.suptitle(title(runs), fontsize=11, fontweight="bold", parse_math=False)
    figure.supxlabel(settings_line(runs, others=others), fontsize=7.5, color="#555555", parse_math=False)
