"""Images on the accelerator: the same pixels, and the same run, as from the host's memory.

Here the accelerator is the CPU under another name: what is computed, and in what order, is the same.
"""

import keras
import numpy as np
import pytest

from resnet_keras import cifar10, run, run_seeds
from resnet_keras.backends import device
from resnet_keras.backends.device_images import resident
from resnet_keras.data.small.stream import Stream
from resnet_keras.runs import reading
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.recipe import Recipe
from resnet_keras.spec.schedules import Steps

IMAGES = 20
TAKES_TENSORS = ("jax", "torch")
"""Backends whose `fit` takes batches from the device."""
NET = cifar10(8, num_classes=3, image_size=8)
RECIPE = Recipe(12, Steps((6,)), learning_rate=0.02, batch_size=6, augmentation=PaddedCrop(2), evaluate_every=6)


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.setattr(device, "name", lambda: "accelerator")


@pytest.fixture
def no_accelerator(monkeypatch):
    monkeypatch.setattr(device, "name", lambda: "cpu")


@pytest.fixture
def nothing_cut_by_numpy(monkeypatch):
    if keras.backend.backend() in TAKES_TENSORS:
        monkeypatch.setattr(Stream, "_windows", property(lambda self: pytest.fail("NumPy cuts images")))


def stream(seed=4, **options):
    x = np.random.default_rng(0).integers(1, 256, (IMAGES, 8, 8, 3)).astype(np.uint8)
    return Stream(x, np.arange(IMAGES, dtype=np.int32), 16, seed, PaddedCrop(**{"pad": 2} | options))


@pytest.mark.parametrize("options", [{}, {"pad": 0}, {"flip": False}, {"pad": 7}], ids=str)
@pytest.mark.usefixtures("accelerator")
def test_they_are_the_same_pixels(options):
    """NumPy cuts the others, which tests/data/test_small.py checks by hand."""
    streams = [stream(seed, **options) for seed in (4, 5)]
    for mine, other in zip(resident(streams), streams, strict=True):
        assert (mine is other) == (keras.backend.backend() not in TAKES_TENSORS)
        for iteration in (0, 1, 2, 30):  # number 1 spans two epochs
            (x, y), (pixels, labels) = mine.batch(iteration), other.batch(iteration)
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(x), pixels)
            np.testing.assert_array_equal(y, labels)


@pytest.mark.usefixtures("no_accelerator")
def test_on_a_cpu_they_stay_in_numpy():
    streams = [stream()]
    assert resident(streams) is streams


@pytest.mark.usefixtures("accelerator")
def test_photographs_and_very_many_images_stay_where_they_are(monkeypatch):
    class OnDisk:
        pass

    assert resident([OnDisk()])[0].__class__ is OnDisk
    monkeypatch.setattr("resnet_keras.backends.device_images.MAX_BYTES", 8 * 8 * 3 * IMAGES - 1)
    assert isinstance(resident([stream()])[0], Stream)


@pytest.mark.usefixtures("no_accelerator")
def test_a_run_is_the_same(small_data, tmp_path, request):
    host = run(NET, RECIPE, small_data, seed=1, out=tmp_path / "host")
    request.getfixturevalue("accelerator")
    request.getfixturevalue("nothing_cut_by_numpy")
    device = run(NET, RECIPE, small_data, seed=1, out=tmp_path / "device")
    assert [row[:6] for row in host.rows] == [row[:6] for row in device.rows]
    weights = [keras.models.load_model(one.path / reading.MODEL).get_weights() for one in (host, device)]
    for mine, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="one program of several nets is made on JAX")
@pytest.mark.usefixtures("accelerator", "nothing_cut_by_numpy")
def test_several_seeds_take_theirs_from_the_same_images(small_data, tmp_path):
    together = run_seeds(NET, RECIPE, small_data, outs={seed: tmp_path / f"{seed}" for seed in (0, 3)})
    for done, seed in zip(together, (0, 3), strict=True):
        alone = run(NET, RECIPE, small_data, seed=seed, out=tmp_path / f"alone{seed}")
        for mine, other in zip(done.rows, alone.rows, strict=True):
            np.testing.assert_allclose(mine[:6], other[:6], rtol=1e-3, atol=1e-3)
