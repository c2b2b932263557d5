"""Another kind of network needs only a class in `spec` and a body in `nets`: everything else takes it as it is."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import keras
import numpy as np
import pytest
from conftest import small_data_
from model_files import unpack
from rich.console import Console

from resnet_keras import InvalidValue, Recipe, build, load, run
from resnet_keras.evaluation import classifier
from resnet_keras.evaluation.protocol import Protocol
from resnet_keras.evaluation.score import score
from resnet_keras.nets.build import BODIES
from resnet_keras.plotting import figure_6
from resnet_keras.reports.tables import errors
from resnet_keras.runs import reading
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.cost import cost
from resnet_keras.spec.kinds import NETWORKS, network_from_dict
from resnet_keras.spec.network import Mean, Network, WeightedLayer
from resnet_keras.spec.strict import AtMost


@dataclass(frozen=True)
class Perceptron(Network):
    """A toy: the pixels, flattened, and one dense layer."""

    kind = "perceptron"

    num_classes: Annotated[int, AtMost(1000)]
    image_size: Annotated[int, AtMost(512)]
    mean: Mean

    name = "perceptron"
    depth = 1

    def weighted_layers(self) -> Iterator[WeightedLayer]:
        weights = 3 * self.image_size**2 * self.num_classes
        yield WeightedLayer("predictions", weights + self.num_classes, 0, weights, self.num_classes)


def perceptron_body(make, x, net):
    x = keras.layers.Flatten(name="flatten")(x)
    return make.softmax(make.dense(x, net.num_classes, "predictions"))


NET = Perceptron(3, 8, "pixel")


@pytest.fixture
def _perceptrons(monkeypatch):
    monkeypatch.setitem(NETWORKS, "perceptron", Perceptron)
    monkeypatch.setitem(BODIES, Perceptron, perceptron_body)


@pytest.mark.usefixtures("_perceptrons")
def test_a_toy_network_is_trained_measured_drawn_tabled_and_loaded(tmp_path):
    data = small_data_()
    recipe = Recipe(iterations=4, batch_size=6, augmentation=PaddedCrop(1), evaluate_every=2, learning_rate=1e-4)
    run(NET, recipe, data, seed=0, out=tmp_path / "run", console=Console(file=io.StringIO()))
    done = reading.read(tmp_path / "run")
    assert done.settings["architecture"]["kind"] == "perceptron"
    assert errors([done]).rows[0][:2] == ("perceptron", "579")
    assert figure_6([done]).axes[0].get_title() == "plain nets"
    assert cost(NET, recipe).operations == 2 * 6 * (3 - 1) * 576

    model = load(done.path / "model.keras")
    scores, labels = score(classifier.read(done.path), data, Protocol("1-crop"))
    np.testing.assert_allclose(model.predict(data.x_test, verbose=0), scores, atol=1e-6)
    wrong = 100 * (scores.argmax(axis=1) != labels).mean()
    assert done.results.test_error == pytest.approx(wrong, abs=1e-3)
    assert json.loads(unpack(done.path / "model.keras")["metadata.json"])["architecture"]["kind"] == "perceptron"


@pytest.mark.usefixtures("_perceptrons")
def test_its_description_is_read_as_strictly_as_any(tmp_path):
    written = json.loads(json.dumps(NET.to_dict()))
    assert network_from_dict(written) == NET
    for change in ({"num_classes": 1001}, {"num_classes": True}, {"mean": "median"}, {"more": 1}, {"depth": 2}):
        with pytest.raises(InvalidValue):
            network_from_dict(written | change)
    with pytest.raises(InvalidValue, match="kind"):
        network_from_dict(written | {"kind": "resnet-2"})


@pytest.mark.usefixtures("_perceptrons")
def test_it_is_counted_as_it_is_built():
    model = build(NET)
    assert model.count_params() - 2 * 3 * 64 - 1 == NET.parameters == 3 * 64 * 3 + 3
    assert NET.stored_numbers == 579 + 2 * 3 * 64
