"""Explanatory diagrams: the residual unit (Figures 2 and 5), the shortcuts of section 4.1, nets in the style of
Figure 3, the schedule of section 4.2, the crops of the three test protocols, and degradation against depth.

Shapes and numbers come from the same frozen values as the nets and recipes themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from resnet_keras.plotting.style import STYLE
from resnet_keras.spec.architecture import Architecture, Unit
from resnet_keras.spec.paper_nets import cifar10, imagenet
from resnet_keras.spec.paper_recipes import cifar10_recipe
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.schedules import Steps

INK, QUIET, SHORTCUT = "#222222", "#777777", "#c0392b"
STAGE_COLOURS = ("#f2f2f2", "#cfe0f3", "#d8ecd2", "#fbe3c4", "#f3d3dc")
"""Colours of the stem, then of conv2_x, conv3_x, ..."""
BOX_WIDTH, BOX_HEIGHT = 2.6, 0.55


@dataclass(frozen=True)
class DepthErrors:
    """Errors by depth, in percent, of trained nets of one kind."""

    name: str
    depths: tuple[int, ...]
    train_error: tuple[float, ...]
    test_error: tuple[float, ...]


def unit() -> Figure:
    """Figure 2: two layers, without and with the shortcut."""
    figure, axes = _canvas(2, (7.0, 3.6))
    for ax, title, shortcut in zip(axes, ("plain", "residual"), (False, True), strict=True):
        ax.set_title(title, fontweight="bold")
        rows = ("3x3 conv, BN", "ReLU", "3x3 conv, BN")
        computed = "F(x) + x" if shortcut else "H(x)"
        _column(ax, rows, shortcut="identity" if shortcut else None, output=f"ReLU({computed})")
        if shortcut:
            ax.text(-BOX_WIDTH / 2 - 0.2, 2.0, "F(x)", color=QUIET, ha="right", va="center", fontstyle="italic")
            ax.text(-0.15, -0.28, computed, ha="right", va="center", fontstyle="italic")
    return figure


def shortcuts() -> Figure:
    """Section 4.1: options A, B and C where the shape changes."""
    figure, axes = _canvas(3, (9.6, 3.9))
    kinds = {
        "A": "every 2nd pixel,\nzeros for new\nchannels",
        "B": "1x1 convolution,\nstride 2, BN",
        "C": "1x1 convolution, BN:\nstride 2 here,\n1 in all others",
    }
    for ax, (name, text) in zip(axes, kinds.items(), strict=True):
        ax.set_title(f"option {name}", fontweight="bold")
        _column(ax, ("3x3, /2, BN", "ReLU", "3x3, BN"), shortcut=text, dotted=True)
    return figure


def bottleneck() -> Figure:
    """Figure 5: the basic unit of ResNet-34 and the bottleneck unit of ResNet-50."""
    figure, axes = _canvas(2, (7.4, 4.2))
    for ax, net in zip(axes, (imagenet(34), imagenet(50)), strict=True):
        second = list(net.units())[1]
        ax.set_title(f"{net.name}: {net.unit} unit", fontweight="bold")
        rows = [f"{c.kernel_size}x{c.kernel_size}, {c.filters}" for c in second.convolutions]
        _column(ax, rows, shortcut="identity", source=f"{second.filters_in} channels")
    return figure


def nets() -> Figure:
    """Figure 3: plain-20, ResNet-20 and ResNet-34, from input to output."""
    shown = (cifar10(20, None), cifar10(20), imagenet(34))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 10.5), layout="constrained")
        axes = figure.subplots(1, 3, sharey=True)
        rows = max(net.depth for net in shown) + 2
        for ax, net in zip(axes, shown, strict=True):
            ax.set_axis_off()
            ax.set_title(net.name, fontweight="bold")
            _net(ax, net)
            ax.set_xlim(-2.0, 3.0)
            ax.set_ylim(-(rows - 0.2), 0.6)
    return figure


def schedule(recipe: Recipe | None = None) -> Figure:
    """Section 4.2: the learning rate of a 56-layer net and, over its first 400 iterations, of a 110-layer net."""
    recipe = cifar10_recipe(56) if recipe is None else recipe
    assert isinstance(recipe.schedule, Steps)
    ends = (*recipe.schedule.boundaries, recipe.iterations)
    starts = (0, *recipe.schedule.boundaries)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.9), layout="constrained")
        ax = figure.subplots()
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            rate = recipe.learning_rate / 10**number
            ax.plot((start, end), (rate, rate), color=INK, linewidth=2.2)
            ax.annotate(f"{rate:g}", ((start + end) / 2, rate), xytext=(0, 5), textcoords="offset points", ha="center")
            if end < recipe.iterations:
                ax.plot((end, end), (rate, rate / 10), color=INK, linewidth=0.8, linestyle=":")
        ax.plot((0, recipe.evaluate_every), (0.01, 0.01), color=SHORTCUT, linewidth=3.5, solid_capstyle="butt")
        warmup = "110 layers and more: warm-up,\nabout 400 iterations"
        ax.annotate(warmup, (recipe.evaluate_every, 0.01), xytext=(12, -4),
            textcoords="offset points", color=SHORTCUT, va="top")  # fmt: skip
        ax.set_yscale("log")
        ax.set_ylim(4e-4, 0.3)
        ax.set_xlim(-500, recipe.iterations + 500)
        ax.set_xticks((0, *ends), [f"{value:,}" for value in (0, *ends)])
        ax.set_xlabel(f"iteration (batches of {recipe.batch_size} images)")
        ax.set_ylabel("learning rate")
    return figure


def protocols() -> Figure:
    """Sections 3.4 and 4.1: what a net that takes 224 pixels sees of a 4 : 3 photograph."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 3.5), layout="constrained")
        axes = figure.subplots(1, 3)
        for ax, title in zip(axes, ("1-crop", "10-crop", "multi-scale"), strict=True):
            ax.set_title(title, fontweight="bold")
            ax.set_axis_off()
            ax.set_aspect("equal")
        width, height, crop = 341, 256, 224
        corners = [(0, 0), (width - crop, 0), (0, height - crop), (width - crop, height - crop)]
        centre = ((width - crop) / 2, (height - crop) / 2)
        for ax, crops in zip(axes[:2], ([centre], [*corners, centre]), strict=True):
            ax.add_patch(Rectangle((0, 0), width, height, facecolor="#eeeeee", edgecolor=QUIET))
            for number, corner in enumerate(crops):
                colour = mpl.colormaps["cividis"](number / 5)
                ax.add_patch(Rectangle(corner, crop, crop, fill=False, edgecolor=colour, linewidth=2))
            ax.set_xlim(-8, width + 8)
            ax.set_ylim(height + 60, -8)
        axes[0].text(width / 2, height + 34, "shorter side 256, centre 224 x 224", ha="center")
        axes[1].text(width / 2, height + 34, "4 corners and centre, and mirrored", ha="center")
        for side in (640, 480, 384, 256, 224):
            axes[2].add_patch(
                Rectangle((0, 0), side * 4 / 3, side, facecolor="#eeeeee", edgecolor=QUIET, linewidth=1.2)
            )
            axes[2].text(side * 4 / 3 - 8, side - 16, str(side), ha="right", va="center", fontsize=7)
        axes[2].set_xlim(-20, 640 * 4 / 3 + 20)
        axes[2].set_ylim(640 + 150, -20)
        axes[2].text(640 * 2 / 3, 640 + 85, "whole image at 5 sizes, and mirrored", ha="center")
    return figure


def degradation_by_depth(kinds: Sequence[DepthErrors], source: str) -> Figure:
    """The point of the paper in two panels: training and test error of trained nets against depth.

    Args:
        kinds: plain nets, then residual nets.
        source: the line under the figure.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.4), layout="constrained")
        axes = figure.subplots(1, 2)
        for ax, part in zip(axes, ("training", "test"), strict=True):
            for kind, colour in zip(kinds, (SHORTCUT, "#1f5fa8"), strict=True):
                errors = kind.train_error if part == "training" else kind.test_error
                ax.plot(kind.depths, errors, color=colour, linewidth=2.2, marker="o")
                ax.annotate(f"{kind.name} {errors[-1]:.2f}", (kind.depths[-1], errors[-1]), xytext=(-4, 8),
                    textcoords="offset points", color=colour, fontweight="bold", ha="right")  # fmt: skip
            ax.set_title(f"{part} error (%)", fontsize=10)
            ax.set_xticks(kinds[0].depths)
            ax.set_xlabel("layers")
            ax.set_ylim(0, max(max(k.train_error if part == "training" else k.test_error) for k in kinds) * 1.2)
        figure.supxlabel(source, fontsize=7.5, color="#555555")
    return figure


def images(rows: Mapping[str, np.ndarray]) -> Figure:
    """Named rows of small images, each of shape (n, size, size, 3), uint8."""
    with mpl.rc_context(STYLE):
        count = len(next(iter(rows.values())))
        figure = Figure(figsize=(0.62 * count + 0.8, 0.66 * len(rows)))
        axes = figure.subplots(len(rows), count, gridspec_kw={"wspace": 0.06, "hspace": 0.08})
        for line, (name, shown) in zip(axes, rows.items(), strict=True):
            line[0].text(-0.15, 0.5, name, ha="right", va="center", transform=line[0].transAxes)
            for ax, image in zip(line, shown, strict=True):
                ax.set_axis_off()
                ax.imshow(image, interpolation="nearest")
    return figure


def _canvas(count: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = list(figure.subplots(1, count))
    for ax in axes:
        ax.set_axis_off()
    return figure, axes


def _box(ax: Axes, x: float, y: float, text: str, colour: str = "#cfe0f3", width: float = BOX_WIDTH) -> None:
    ax.add_patch(FancyBboxPatch((x - width / 2, y - BOX_HEIGHT / 2), width, BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.12", facecolor=colour, edgecolor=INK, linewidth=0.8))  # fmt: skip
    ax.text(x, y, text, ha="center", va="center", parse_math=False)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], **options: Any) -> None:
    style: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 9,
        "color": INK,
        "linewidth": 1.0,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    ax.add_patch(FancyArrowPatch(start, end, **(style | options)))


def _column(
    ax: Axes,
    rows: Sequence[str],
    *,
    shortcut: str | None,
    dotted: bool = False,
    source: str = "x",
    output: str = "",
) -> None:
    """Draws a unit from top to bottom, with its shortcut on the right."""
    top, half = len(rows) + 0.0, BOX_HEIGHT / 2
    ax.text(0, top + 0.85, source, ha="center", va="center", fontstyle="italic" if source == "x" else "normal")
    _arrow(ax, (0, top + 0.65), (0, top + half))
    for number, text in enumerate(rows):
        _box(ax, 0, top - number, text, "#eeeeee" if text == "ReLU" else "#cfe0f3")
        if number + 1 < len(rows):
            _arrow(ax, (0, top - number - half), (0, top - number - 1 + half))
    bottom = top - len(rows) + 1
    end = bottom - 1
    if shortcut is None:
        _arrow(ax, (0, bottom - half), (0, end + half))
    else:
        _arrow(ax, (0, bottom - half), (0, end + 0.2 + half))
        ax.text(0, end + half, "+", ha="center", va="center", fontsize=13, color=SHORTCUT,
            bbox={"boxstyle": "circle,pad=0.1", "facecolor": "white", "edgecolor": SHORTCUT})  # fmt: skip
        right = BOX_WIDTH / 2 + 0.55
        line: dict[str, Any] = {"color": SHORTCUT, "linewidth": 1.6, "linestyle": ":" if dotted else "-"}
        ax.plot((0, right, right), (top + 0.5, top + 0.5, end + half), **line)
        _arrow(ax, (right, end + half), (0.22, end + half), color=SHORTCUT, linewidth=1.6)
        ax.text(right + 0.12, (top + end) / 2 + 0.3, shortcut, color=SHORTCUT, va="center", parse_math=False)
        _arrow(ax, (0, end + half - 0.2), (0, end - 0.72 + half))
        end -= 0.72
    _box(ax, 0, end, "ReLU", "#eeeeee")
    _arrow(ax, (0, end - half), (0, end - half - 0.4))
    ax.text(0.18, end - half - 0.32, output, va="center", fontstyle="italic")
    ax.set_xlim(-2.2, 4.4 if shortcut else 2.6)
    ax.set_ylim(end - half - 0.7, top + 1.1)


def _net(ax: Axes, net: Architecture) -> None:
    """Draws a column with one box for each weighted layer; arcs are the shortcuts."""
    row = 0

    def layer(text: str, colour: str) -> None:
        nonlocal row
        _box(ax, 0, -row, text, colour, width=2.4)
        if row:
            ax.plot((0, 0), (-row + 1 - BOX_HEIGHT / 2, -row + BOX_HEIGHT / 2), color=INK, linewidth=0.8)
        row += 1

    stem = net.stem_convolution
    layer(
        f"{stem.kernel_size}x{stem.kernel_size}, {stem.filters}{', /2' if stem.strides > 1 else ''}", STAGE_COLOURS[0]
    )
    if net.stem.pool:
        layer("max pool, /2", STAGE_COLOURS[0])
    colours = [colour for stage, colour in zip(net.stages, STAGE_COLOURS[1:], strict=False) for _ in range(stage.units)]
    for unit_, colour in zip(net.units(), colours, strict=True):
        first = row
        for convolution in unit_.convolutions:
            size = f"{convolution.kernel_size}x{convolution.kernel_size}, {convolution.filters}"
            layer(f"{size}{', /2' if convolution.strides > 1 else ''}", colour)
        _arc(ax, first, row - 1, unit_)
    layer("average pool", STAGE_COLOURS[0])
    layer(f"dense {net.num_classes:,}", STAGE_COLOURS[0])


def _arc(ax: Axes, first: int, last: int, unit_: Unit) -> None:
    if unit_.shortcut is None:
        return
    style = "-" if unit_.shortcut == "identity" else ":"
    _arrow(ax, (1.2, -first + 0.36), (1.2, -last - 0.42), connectionstyle="arc3,rad=-0.75", color=SHORTCUT,
        linestyle=style, linewidth=1.3, mutation_scale=7)  # fmt: skip
