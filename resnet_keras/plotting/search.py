"""The trials of a search in parallel coordinates: one axis for each hyper-parameter, one line for each trial."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.style import STYLE
from resnet_keras.reports.trials import Trial, best_first

LOGARITHMIC = ("learning_rate", "weight_decay")
CHOSEN = ("depth", "shortcut", "width", "batch_size", "iterations")
"""Axes whose ticks are the values that occur, evenly spaced: hyper-parameters chosen from a list."""
MARGIN = 0.04


def parallel_coordinates(trials: Sequence[Trial], *, data: str) -> Figure:
    """Dark lines are good trials; the best is thick. Equal values would overlap, so lines are moved apart a little.

    Pandas has such a figure, but with neither a scale for each axis nor logarithmic scales.

    Args:
        trials: the trials; those without an error are left out.
        data: name of the images in the title.

    Raises:
        ValueError: no trial has an error.
    """
    shown = best_first(trials)
    if not shown:
        raise InvalidValue("A search is drawn from trials that have ended. Received: none.")
    errors = np.array([trial.validation_error for trial in shown])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.8), layout="constrained")
        ax = figure.subplots()
        places, names = [], (*LOGARITHMIC, *CHOSEN)
        for number, name in enumerate(names):
            values = [getattr(trial, name) for trial in shown]
            heights, ticks = _logarithmic(values) if name in LOGARITHMIC else _chosen(values)
            places.append(heights + _apart(len(shown)) * (name in CHOSEN))
            _draw_axis(ax, number, ticks)
        low, high = errors.min(), max(errors.max(), errors.min() + 1e-9)
        places.append((errors - low) / (high - low))
        ticks = [(height, f"{low + height * (high - low):.4g}") for height in (0.0, 0.5, 1.0)]
        _draw_axis(ax, len(names), ticks)
        colour_of, norm = mpl.colormaps["cividis"], Normalize(low, high)
        for index in reversed(range(len(shown))):  # the best on top
            height = [place[index] for place in places]
            colour = colour_of(0.9 * norm(errors[index]))
            ax.plot(range(len(places)), height, color=colour, linewidth=2.6 if index == 0 else 1.0, alpha=0.9)
        ax.set_xticks(range(len(places)), [name.replace("_", "\n") for name in (*names, "validation_error, %")])
        ax.set_yticks([])
        ax.grid(visible=False)
        ax.spines["left"].set_visible(False)
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(axis="x", length=0)
        ax.set_xlim(-0.1, len(places) - 0.6)
        figure.suptitle(f"{len(shown)} trials on {data}", fontsize=11, fontweight="bold", parse_math=False)
    return figure


def _draw_axis(ax: mpl.axes.Axes, number: int, ticks: Sequence[tuple[float, str]]) -> None:
    ax.plot([number, number], [-MARGIN, 1 + MARGIN], color="#888888", linewidth=0.8, zorder=0)
    for height, text in ticks:
        ax.annotate(
            text, (number, height), xytext=(4, 0), textcoords="offset points", fontsize=8, va="center", zorder=6,
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip


def _logarithmic(values: Sequence[float]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    logs = np.log(values)
    low, high = logs.min(), max(logs.max(), logs.min() + 1e-9)
    ticks = [(height, f"{np.exp(low + height * (high - low)):.2g}") for height in (0.0, 0.5, 1.0)]
    return (logs - low) / (high - low), ticks


def _chosen(values: Sequence[int | str]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    kinds = sorted(set(values), key=lambda value: (isinstance(value, str) and value != "none", value))
    heights = np.linspace(0, 1, len(kinds)) if len(kinds) > 1 else np.array([0.5])
    place_of = dict(zip(kinds, heights.tolist(), strict=True))
    return np.array([place_of[value] for value in values]), [(place_of[kind], str(kind)) for kind in kinds]


def _apart(count: int) -> np.ndarray:
    return np.linspace(-MARGIN / 2, MARGIN / 2, count) if count > 1 else np.zeros(1)
