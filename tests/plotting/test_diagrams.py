"""Diagrams say what the paper says: its layers, rates, crops and numbers, as text in the drawings."""

import pytest
from matplotlib.text import Text

from resnet_keras.plotting import diagrams

pytestmark = pytest.mark.any_backend


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_figure_3_has_the_layers_of_resnet_34():
    shown = texts(diagrams.nets())
    # Table 1: 3, 4, 6 and 3 units of two 3x3 convolutions; plain-20 and ResNet-20 have 3 units in each stage.
    for filters, units in ((64, 3), (128, 4), (256, 6), (512, 3)):
        found = sum(text.startswith(f"3x3, {filters}") for text in shown)
        of_cifar10 = 2 * 6 if filters == 64 else 0
        assert found - of_cifar10 == 2 * units
    assert shown.count("7x7, 64, /2") == 1
    assert shown.count("dense 10") == 2


def test_the_schedule_is_that_of_section_4_2():
    shown = texts(diagrams.schedule())
    assert {"0.1", "0.01", "0.001", "32,000", "48,000", "64,000"} <= set(shown)


def test_figure_5_has_64_and_256_channels():
    shown = texts(diagrams.bottleneck())
    assert [text for text in shown if "x" in text and ", " in text and "unit" not in text] == [
        "3x3, 64", "3x3, 64", "1x1, 64", "3x3, 64", "1x1, 256"
    ]  # fmt: skip
    assert "256 channels" in shown


def test_the_point_is_drawn_from_the_numbers():
    kinds = [
        diagrams.DepthErrors("plain", (20, 56), (0.74, 3.33), (9.69, 13.07)),
        diagrams.DepthErrors("residual", (20, 56), (0.40, 0.04), (8.04, 7.46)),
    ]
    figure = diagrams.degradation_by_depth(kinds, "source")
    training, test = figure.axes
    assert [line.get_ydata()[-1] for line in training.lines] == [3.33, 0.04]
    assert [line.get_ydata()[-1] for line in test.lines] == [13.07, 7.46]
