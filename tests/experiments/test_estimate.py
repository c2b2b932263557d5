"""What a run will cost: arithmetic and memory traffic counted by hand, and a program that trains nothing."""

import signal
from dataclasses import replace

import keras
import pytest
from conftest import run_python

from resnet_keras import CIFAR10, cifar10, imagenet
from resnet_keras.errors import Stopped
from resnet_keras.experiments import estimate
from resnet_keras.reports.progress_bar import clock
from resnet_keras.spec.cost import cost


def test_the_cost_of_an_update_by_hand():
    """ResNet-8 on 8-pixel images, option A: the stem and six convolutions, of 16, 32 and 64 filters."""
    net = cifar10(8, num_classes=3, image_size=8)
    multiply_adds = 64 * 27 * 16 + 2 * 64 * 144 * 16  # conv1 and conv2_x, at 8 x 8
    multiply_adds += 16 * 144 * 32 + 16 * 288 * 32 + 4 * 288 * 64 + 4 * 576 * 64 + 64 * 3
    assert net.multiply_adds == multiply_adds
    outputs = 3 * 64 * 16 + 2 * 16 * 32 + 2 * 4 * 64
    one = cost(net, replace(CIFAR10, batch_size=10))
    assert one.operations == 2 * (3 * multiply_adds - 64 * 27 * 16) * 10  # the images have no gradient
    assert one.bytes == 5 * outputs * 10 * 4 + 7 * net.parameters * 4
    half = cost(net, replace(CIFAR10, batch_size=10, precision="mixed_bfloat16"))
    assert one.bytes - half.bytes == 5 * outputs * 10 * 2


def test_every_convolution_has_the_size_that_the_paper_gives():
    """Table 1: conv2_x is 56 x 56, conv5_x 7 x 7."""
    sizes = {convolution.name: convolution.output_size(size) for convolution, size in imagenet(50).sized_convolutions()}
    assert sizes["conv1"] == 112
    assert {size for name, size in sizes.items() if name.startswith("conv2_")} == {56}
    assert {size for name, size in sizes.items() if name.startswith("conv5_")} == {7}


def test_the_time_of_a_run_is_that_of_its_updates_and_measurements(small_data, monkeypatch):
    monkeypatch.setattr(estimate, "SECONDS", 0.3)
    monkeypatch.setattr(estimate, "MATRIX", 256)
    monkeypatch.setattr(estimate, "VECTOR", 1 << 20)
    recipe = replace(CIFAR10, batch_size=6).rescaled(1_000)
    one = estimate.estimate(cifar10(8, num_classes=3, image_size=8), recipe, small_data)
    assert 0 < one.bound < one.update
    assert one.seconds == pytest.approx(1_000 * one.update + 20 * one.measurement)
    assert "1,000 updates and 20 measurements" in "\n".join(one.lines())


def test_the_exchange_of_gradients_by_hand():
    """ResNet-50 over 64 devices at 12.5 GB/s: 102 MB, of which 2 · 63 / 64 pass each link."""
    assert estimate.exchange(25_557_032, 64, 12.5e9) == pytest.approx(0.0161, abs=1e-4)
    assert estimate.exchange(25_557_032, 1, 12.5e9) == 0


def test_the_time_over_several_devices_is_that_of_a_part_and_the_exchange(small_data, monkeypatch):
    monkeypatch.setattr(estimate, "SECONDS", 0.3)
    monkeypatch.setattr(estimate, "MATRIX", 256)
    monkeypatch.setattr(estimate, "VECTOR", 1 << 20)
    net, recipe = cifar10(8, num_classes=3, image_size=8), replace(CIFAR10, batch_size=24).rescaled(1_000)
    one = estimate.estimate(net, recipe, small_data, devices=4, link=1e6)
    summed = 2 * 3 / 4 * 4 * net.parameters / 1e6
    assert one.seconds == pytest.approx(1_000 * (one.update + summed) + 20 * one.measurement / 4)
    assert one.cost == cost(net, replace(recipe, batch_size=6))
    assert "4 devices, 6 images on each" in "\n".join(one.lines())


def test_seconds_as_a_clock_shows_them():
    assert [clock(seconds) for seconds in (20, 245, 3_845, 200_000)] == ["0:20", "4:05", "1:04:05", "55:33:20"]


@pytest.mark.any_backend
def test_a_recipe_estimates_and_trains_nothing(tmp_path, small_npz):
    arguments = ["recipes/cifar10.py", "--depth", "8", "--data-dir", str(small_npz), "--batch-size", "6"]
    done = run_python(*arguments, "--iterations", "100", "--out", str(tmp_path / "run"), "--estimate")
    assert done.returncode == 0, done.stderr
    assert "images/s" in done.stdout
    assert "is the limit" in done.stdout
    assert not (tmp_path / "run").exists()


def test_a_signal_while_validation_is_timed_ends_it(small_data, monkeypatch):
    monkeypatch.setattr(estimate, "SECONDS", 0.3)
    evaluate = keras.Model.evaluate

    def signalled(model, *arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        return evaluate(model, *arguments, **options)

    monkeypatch.setattr(keras.Model, "evaluate", signalled)
    recipe = replace(CIFAR10, batch_size=6).rescaled(1_000)
    with pytest.raises(Stopped, match="nothing was trained"):
        estimate.estimate(cifar10(8, num_classes=3, image_size=8), recipe, small_data)
