"""A process's default dtype, layout and epsilon do not reach what is built here."""

from contextlib import contextmanager

import keras
import numpy as np
import pytest
from conftest import small_data_

from resnet_keras import Recipe, build, load, run
from resnet_keras.analysis.gradients import gradients
from resnet_keras.analysis.nets import Net
from resnet_keras.analysis.responses import responses
from resnet_keras.data.small.images import image_data
from resnet_keras.nets import residual
from resnet_keras.nets.fully_convolutional import fully_convolutional
from resnet_keras.runs import reading
from resnet_keras.spec.architecture import Architecture, Stage, Stem
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.measurements import Subject
from resnet_keras.spec.records import TIMES
from resnet_keras.spec.schedules import Steps

SETTINGS = [
    {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.5},
    {"floatx": "bfloat16"},
    {"floatx": "float64"},
]
NAMES = [setting["floatx"] for setting in SETTINGS]
NET = Architecture(Stem(4, 3, 1, False), (Stage(4, 1, 1), Stage(4, 1, 2)), "basic", "A", 3, 4, "1x1", "channel")
BATCH = 8_192
RECIPE = Recipe(
    iterations=9, schedule=Steps((6,)), batch_size=BATCH, learning_rate=0.02, augmentation=PaddedCrop(1),
    evaluate_every=9,
)  # fmt: skip


@contextmanager
def settings(**values):
    """Keras's settings, as if from keras.json."""
    before = {name: getattr(keras.config, name)() for name in values}
    try:
        for name, value in values.items():
            getattr(keras.config, f"set_{name}")(value)
        yield
    finally:
        for name, value in before.items():
            getattr(keras.config, f"set_{name}")(value)


def many():
    """Enough images for a run to see more than float16 counts to: noise whose brightness mostly tells the class."""
    random = np.random.default_rng(1)

    def part(count):
        labels = (np.arange(count) % 3).astype(np.int32)
        shown = np.where(random.random(count) < 0.8, labels, random.integers(0, 3, count))
        noise = random.integers(0, 60, (count, 4, 4, 3)) + 60 * shown[:, None, None, None]
        return noise.astype(np.uint8), labels

    return image_data(name="many", source="tests", train=part(BATCH), test=part(600))


def trained(path):
    done = run(NET, RECIPE, many(), seed=3, out=path)
    weights = load(path / "model.keras").get_weights()
    return [row._replace(**dict.fromkeys(TIMES, 0.0)) for row in done.rows], done.results, weights


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    path = tmp_path_factory.mktemp("usual") / "run"
    return path, trained(path)


@pytest.mark.parametrize("values", SETTINGS, ids=NAMES)
def test_a_run_is_the_same_over_more_images_than_float16_counts_to(values, usual, tmp_path):
    assert RECIPE.iterations * BATCH > 65_504
    with settings(**values):
        rows, results, weights = trained(tmp_path / "run")
    expected_rows, expected_results, expected_weights = usual[1]
    assert rows == expected_rows
    assert results == expected_results
    for mine, expected in zip(weights, expected_weights, strict=True):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("values", SETTINGS, ids=NAMES)
def test_a_loaded_net_measures_what_its_run_wrote_down(values, usual):
    path, (_, results, _) = usual
    data = many()
    with settings(**values):
        measured = load(path / "model.keras").evaluate(data.x_test, data.y_test, verbose=0, return_dict=True)
    assert 100 * (1 - measured["accuracy"]) == pytest.approx(results.test_error, abs=1e-3)


@pytest.mark.parametrize("values", SETTINGS, ids=NAMES)
def test_nets_of_nested_groups_and_other_sizes_compute_in_float32(values, monkeypatch):
    monkeypatch.setattr(residual, "FLAT_DEPTH", 2)
    monkeypatch.setattr(residual, "UNITS_PER_GROUP", 1)
    images = np.random.default_rng(2).integers(0, 256, (5, 4, 4, 3)).astype(np.float32)
    expected = build(NET, seed=1, precision="float32").predict(images, verbose=0)
    with settings(**values):
        nested = build(NET, seed=1, precision="float32")
        groups = [layer for layer in nested.layers if isinstance(layer, keras.Model)]
        assert groups
        assert {str(tensor.dtype) for group in groups for tensor in group.inputs} == {"float32"}
        np.testing.assert_array_equal(nested.predict(images, verbose=0), expected)
        monkeypatch.setattr(residual, "FLAT_DEPTH", 152)
        wide = fully_convolutional(build(NET, seed=1, precision="float32"))
        np.testing.assert_allclose(wide.predict(images, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize("values", SETTINGS, ids=NAMES)
def test_analysis_measures_the_same(values):
    data = small_data_()
    architecture = Architecture(NET.stem, NET.stages, "basic", "A", 3, 8, "1x1", "channel")
    net = Net(Subject("small", 6, True), build(architecture, seed=1, precision="float32"), architecture, "trained")

    def measured():
        found = gradients(net, [(data.x_train[:6], data.y_train[:6])])
        return responses(net, [data.x_train[:6]]).std, found.units, found.kernels

    expected = measured()
    with settings(**values):
        assert measured() == expected


def test_a_running_count_that_float32_loses_is_refused():
    with pytest.raises(ValueError, match="at most 16,777,216 images"):
        Recipe(iterations=200_000, evaluate_every=200_000)
    Recipe(iterations=2**24 // 128, evaluate_every=2**24 // 128)


def test_epsilon_of_batch_normalisation_is_that_of_the_spec(usual):
    with settings(epsilon=0.5):
        layer = build(NET).get_layer("conv1_bn")
    assert layer.epsilon == 1e-5
    assert reading.read(usual[0]).settings["recipe"]["precision"] == "float32"
