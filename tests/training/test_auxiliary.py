"""Auxiliary classifiers: 0.3 of each one's loss in training (Szegedy et al. 2015, section 5); the file has none."""

import io

import keras
import numpy as np
import pytest
from baseline_nets import SMALL
from conftest import small_arrays
from rich.console import Console

from resnet_keras import Recipe, build, load, run
from resnet_keras.data.small.images import image_data
from resnet_keras.runs import reading
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.training.logits_model import training_model

NET = SMALL["GoogLeNet with heads"]
RECIPE = Recipe(iterations=2, batch_size=4, augmentation=PaddedCrop(1), evaluate_every=2, learning_rate=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_the_net_and_a_share_of_the_heads(smoothing):
    """By hand, from the probabilities; the metrics are those of the net's own output."""
    model = build(NET, weight_decay=0.0, seed=2)
    x = np.random.default_rng(0).integers(0, 256, (6, 80, 80, 3)).astype(np.uint8)
    y = np.arange(6) % 5
    probabilities = [np.asarray(one) for one in model.predict(x, verbose=0)]
    target = np.eye(5)[y] * (1 - smoothing) + smoothing / 5
    losses = [-(target * np.log(one)).sum(axis=1).mean() for one in probabilities]
    assert np.ptp(losses) > 1e-3
    trained = training_model(model, Recipe(label_smoothing=smoothing))
    measured = trained.evaluate(x, y, verbose=0, return_dict=True)
    assert measured["loss"] == pytest.approx(losses[0] + 0.3 * (losses[1] + losses[2]), rel=1e-4)
    assert measured["cross_entropy"] == pytest.approx(-np.log(probabilities[0][np.arange(6), y]).mean(), rel=1e-4)
    assert measured["accuracy"] == pytest.approx((probabilities[0].argmax(axis=1) == y).mean())


def test_a_run_trains_them_and_saves_the_net_without(tmp_path):
    arrays = small_arrays(30, NET.image_size, NET.num_classes)
    data = image_data(
        name="small",
        source="tests",
        train=(arrays["x_train"], arrays["y_train"]),
        test=(arrays["x_test"], arrays["y_test"]),
    )
    done = run(NET, RECIPE, data, seed=0, out=tmp_path / "run", console=Console(file=io.StringIO()))
    assert done.settings["architecture"]["auxiliary"] is True
    model = load(done.path / reading.MODEL)
    assert model.network == SMALL["GoogLeNet"].__class__(**{**NET.__dict__, "auxiliary": False})
    bare = keras.models.load_model(done.path / reading.MODEL)
    expected = bare.predict(data.x_test, verbose=0)
    assert expected.shape == (len(data.x_test), 5)
    np.testing.assert_array_equal(np.asarray(model.predict(data.x_test, verbose=0)), np.asarray(expected))
    assert not any(layer.name.startswith("head") for layer in bare.layers)
    measured = bare.evaluate(data.x_test, data.y_test, verbose=0, return_dict=True)
    assert 100 * (1 - measured["accuracy"]) == pytest.approx(done.results.test_error, abs=1e-3)
    held = np.load(sorted((done.path / "checkpoints").iterdir())[-1] / "arrays.npz")
    (momentum,) = (name for name in held if "head1_predictions_kernel_momentum" in name)
    assert np.abs(held[momentum]).max() > 0  # trained
