"""Trained nets of two projects: converted, they have the errors of the originals on CIFAR-10's test images.

The errors, in percent, are those that an independent PyTorch program gives.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from resnet_keras import convert, load
from resnet_keras.data.small import sources

pytestmark = [pytest.mark.real_data, pytest.mark.real_weights]

ERRORS = {
    "a-martyn/plainnet20.pt": ("plain-20", 9.69),
    "a-martyn/plainnet32.pt": ("plain-32", 10.04),
    "a-martyn/plainnet44.pt": ("plain-44", 11.56),
    "a-martyn/plainnet56.pt": ("plain-56", 13.07),
    "a-martyn/resnet20.pt": ("ResNet-20", 8.04),
    "a-martyn/resnet32.pt": ("ResNet-32", 7.79),
    "a-martyn/resnet44.pt": ("ResNet-44", 7.51),
    "a-martyn/resnet56.pt": ("ResNet-56", 7.46),
    "akamaster/resnet20-12fca82f.th": ("ResNet-20", 8.27),
    "akamaster/resnet56-4bfd9763.th": ("ResNet-56", 6.61),
}


@pytest.fixture(scope="module")
def test_images():
    data = sources.load(os.environ["TFDS_DATA_DIR"])
    return data.x_test, data.y_test


@pytest.mark.parametrize("file", ERRORS)
def test_the_error_is_that_of_its_own_code(file, test_images, tmp_path):
    name, error = ERRORS[file]
    x, y = test_images
    report = convert(Path(os.environ["WEIGHTS_DIR"]) / file, tmp_path / "net.keras", images=x[:100])
    assert report.architecture.name == name
    assert report.parity is None or report.parity.equal_top1 == 1.0
    wrong = load(tmp_path / "net.keras").predict(x, batch_size=500, verbose=0).argmax(axis=1) != y
    assert 100 * np.mean(wrong) == pytest.approx(error, abs=0.02)
