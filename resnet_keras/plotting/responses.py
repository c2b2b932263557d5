"""Figure 7: standard deviations of layer responses, in the order of the layers (top) and sorted (bottom)."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from resnet_keras.errors import InvalidValue
from resnet_keras.plotting.measured_nets import legend, lines, literal, panels
from resnet_keras.plotting.style import STYLE
from resnet_keras.spec.measurements import Responses


def figure_7(measured: Sequence[Responses], *, data: str) -> Figure:
    """Draws Figure 7.

    Args:
        measured: the responses of each net.
        data: name of the images in the title.

    Raises:
        ValueError: nothing was measured.
    """
    if not measured:
        raise InvalidValue("Figure 7 shows the responses of nets. Received: none.")
    with mpl.rc_context(STYLE):
        figure, (top, bottom) = panels(2, 2.3)
        looks = lines([one.net for one in measured])
        for one in measured:
            std = np.array(list(one.std.values()))
            number = np.arange(1, len(std) + 1)
            top.plot(number, std, **looks[one.net])
            bottom.plot(number, np.sort(std)[::-1], **looks[one.net])
        for ax, label in ((top, "3x3 layer, original order"), (bottom, "3x3 layer, sorted by std")):
            ax.set_xlabel(label)
            ax.set_ylabel("std of response")
            ax.set_xlim(left=0)
            ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
            ax.set_ylim(bottom=0)
        legend(figure)
        figure.suptitle(f"Layer responses on {literal(data)}", fontsize=10, fontweight="bold")
    return figure
