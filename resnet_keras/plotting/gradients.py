"""The gradient at each unit's output, and the share of it that the shortcut passes on, from input to output."""

from collections.abc import Sequence
from typing import Any, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.measured_nets import legend, lines, literal, log_scale, panels
from resnet_keras.plotting.style import STYLE
from resnet_keras.spec.measurements import Gradients, State, Subject


def gradients_figure(measured: Sequence[Gradients], *, data: str) -> Figure:
    """Two panels for each state of the weights: the norms, and the shares for the nets with shortcuts.

    Args:
        measured: the gradients of each net.
        data: name of the images in the title.

    Raises:
        ValueError: nothing was measured.
    """
    if not measured:
        raise InvalidValue("The figure shows the gradients of nets. Received: none.")
    states = [state for state in get_args(State) if any(one.state == state for one in measured)]
    shown = [[one for one in measured if one.state == state] for state in states]
    with_shares = [any(one.net.residual for one in nets) for nets in shown]
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(states) + sum(with_shares), 1.9)
        remaining = iter(axes)
        looks = lines([one.shown for one in measured])
        for state, nets, shares in zip(states, shown, with_shares, strict=True):
            norms = next(remaining)
            _draw(norms, nets, "norm", looks)
            log_scale(norms)
            norms.set_ylabel("gradient norm")
            norms.set_title(state, fontsize=9)
            if shares:
                share = next(remaining)
                _draw(share, [one for one in nets if one.net.residual], "shortcut_share", looks)
                share.axhline(1.0, color="#888888", linewidth=0.8)
                share.set_ylim(bottom=0)
                share.set_ylabel("shortcut's share")
        axes[-1].set_xlabel("unit, from input to output")
        for ax in axes:
            ax.set_xlim(left=0)
        legend(figure)
        figure.suptitle(f"Gradient per image on {literal(data)}", fontsize=10, fontweight="bold")
    return figure


def _draw(ax: Axes, nets: Sequence[Gradients], field: str, looks: dict[Subject, dict[str, Any]]) -> None:
    for one in nets:
        values = np.array([getattr(unit, field) for unit in one.units.values()], np.float64)  # None becomes NaN
        ax.plot(np.arange(1, len(values) + 1), values, **looks[one.shown])
