"""A net's predictions: images with their likeliest classes. Not a figure of the paper."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from resnet_keras.plotting.measured_nets import literal
from resnet_keras.plotting.style import STYLE

COLUMNS, TOP = 4, 3
RIGHT, OTHER, INK = "#0072b2", "#c9c9c9", "#222222"


def predictions(
    images: np.ndarray,
    labels: Sequence[int | None],
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    title: str,
) -> Figure:
    """Images, each above bars of its likeliest classes, the most probable first.

    Args:
        images: shape (n, size, size, 3), values 0..255.
        labels: true class of each of the n images, None if unknown. Its bar is blue; if it is not among the bars, its
            name stands above the image.
        probabilities: shape (n, classes).
        names: name of each class.
        title: title of the figure.
    """
    with mpl.rc_context(STYLE):
        lines = -(-len(images) // COLUMNS)
        figure = Figure(figsize=(2.1 * COLUMNS, 2.6 * lines + 0.3), layout="constrained")
        cells = figure.subplots(2 * lines, COLUMNS, squeeze=False, height_ratios=[3, 1.3] * lines)
        for ax in cells.flat:
            ax.set_axis_off()
        for number, (image, label, own) in enumerate(zip(images, labels, probabilities, strict=True)):
            line, column = divmod(number, COLUMNS)
            picture, bars = cells[2 * line, column], cells[2 * line + 1, column]
            picture.imshow(np.asarray(image, np.uint8), interpolation="nearest")
            likeliest = np.argsort(-own, kind="stable")[:TOP]
            if label is not None and label not in likeliest:
                picture.set_title(f"a {names[label]}", fontsize=9, color=RIGHT, parse_math=False)
            places = np.arange(len(likeliest))
            bars.barh(places, own[likeliest], height=0.82, color=[RIGHT if k == label else OTHER for k in likeliest])
            for place, k in zip(places, likeliest, strict=True):
                said = f"{names[k]}  {100 * own[k]:.1f} %"
                inside = own[k] > 0.6  # the bar has room for it
                bars.text(0.02 if inside else own[k] + 0.02, place, said, va="center", fontsize=8.5, parse_math=False,
                          color="white" if inside and k == label else INK)  # fmt: skip
            bars.set_xlim(0, 1)
            bars.set_ylim(len(likeliest) - 0.5, -0.5)
        figure.suptitle(literal(title), fontsize=10, fontweight="bold")
    return figure
