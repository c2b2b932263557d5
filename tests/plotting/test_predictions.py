"""Predictions: the likeliest classes of each image, and which of them is right."""

import numpy as np
from matplotlib.colors import to_hex

from resnet_keras.plotting.predictions import OTHER, RIGHT, predictions


def test_bars_are_the_likeliest_classes_and_the_right_one_is_told_apart():
    probabilities = np.array([[0.05, 0.1, 0.25, 0.6], [0.4, 0.3, 0.2, 0.1]])
    figure = predictions(np.zeros((2, 4, 4, 3)), [2, 3], probabilities, ("a$b", "b", "c", "d"), title="of $1")
    bars = [ax for ax in figure.axes if ax.patches]
    assert [[bar.get_width() for bar in ax.patches] for ax in bars] == [[0.6, 0.25, 0.1], [0.4, 0.3, 0.2]]
    assert [[to_hex(bar.get_facecolor()) for bar in ax.patches] for ax in bars] == [[OTHER, RIGHT, OTHER], [OTHER] * 3]
    assert [text.get_text() for text in bars[1].texts] == ["a$b  40.0 %", "b  30.0 %", "c  20.0 %"]
    titles = [ax.get_title() for ax in figure.axes if ax.images]
    assert titles == ["", "a d"]  # none of its bars is the right one
    figure.savefig("/dev/null", format="png")
