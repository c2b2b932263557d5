"""Trained nets of other projects on the 10,000 test images of CIFAR-10, with the errors that PyTorch measures."""

import os
from pathlib import Path

import numpy as np
import pytest

import resnet_keras
from resnet_keras.data import sources
from resnet_keras.weights.convert.convert import convert

# Measured with a PyTorch program that shares nothing with this package: errors in percent.
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
def cifar10_test():
    data = sources.load(Path(os.environ["TFDS_DATA_DIR"]))
    return data.x_test, data.y_test


@pytest.mark.real_weights
@pytest.mark.parametrize("file", ERRORS)
def test_a_converted_net_has_the_error_of_the_source(tmp_path, cifar10_test, file):
    pytest.importorskip("torch")
    name, error = ERRORS[file]
    images, labels = cifar10_test
    report = convert(Path(os.environ["WEIGHTS_DIR"]) / file, tmp_path / "net.keras", images=images[:500])
    assert report.architecture.name == name  # plain or residual too: nothing but the numbers says so
    assert report.parity.equal_top1 == 1.0
    model = resnet_keras.load(tmp_path / "net.keras")
    wrong = model.predict(images, batch_size=500, verbose=0).argmax(axis=1) != labels
    assert 100 * np.mean(wrong) == pytest.approx(error, abs=0.02)
