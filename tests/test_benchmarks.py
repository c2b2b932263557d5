"""The nets of `benchmarks/` are the nets that they are timed against: same size, same answers, same update."""

import json
import sys
from importlib import import_module

import keras
import numpy as np
import pytest
from conftest import BACKEND, ROOT, run_python

from resnet_keras.nets.build import build
from resnet_keras.spec.paper_nets import cifar10, imagenet

pytestmark = pytest.mark.any_backend  # the native nets are compared with Keras on whichever runs

MODULES = {"torch": "torch", "flax": "flax", "tf": "tensorflow"}
CLASSES = {"torch": "TorchLoop", "flax": "FlaxLoop", "tf": "TensorFlowLoop"}
PROGRAM = "benchmarks/training.py"
SMALL = ("--net", "resnet-8", "--batch-size", "8")
LEARNING_RATE = 0.05
NETS = {
    "option A": cifar10(8, image_size=16),
    "option B": cifar10(8, "B", image_size=16),
    "stem with a pool": imagenet(18, num_classes=10, image_size=64),
}


@pytest.fixture
def loop_of(monkeypatch):
    """Makes a native loop; skips where its framework is not installed."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def make(framework, architecture, mean=127.5):
        pytest.importorskip(MODULES[framework])
        made = getattr(import_module(f"native.{framework}_loop"), CLASSES[framework])
        size = (architecture.image_size, architecture.image_size, 3) if architecture.mean == "pixel" else (3,)
        return made(
            architecture, np.full(size, mean, np.float32), bfloat16=False, learning_rate=LEARNING_RATE, compiled=False
        )

    return make


def batch_for(architecture, images=16):
    random = np.random.default_rng(3)
    size = architecture.image_size
    x = random.integers(0, 256, (images, size, size, 3), np.uint8)
    return x, random.integers(0, architecture.num_classes, images, np.int32)


def logits_model(architecture):
    """Ours up to the logits, with weights and statistics that are not those of the start."""
    model = build(architecture, seed=1)
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    model.get_layer("predictions").bias.assign(random.normal(size=architecture.num_classes))
    return keras.Model(model.inputs, model.layers[-1].input)


def weights_of(model):
    return {layer.name: layer.get_weights() for layer in model.layers}


@pytest.mark.parametrize("framework", MODULES)
@pytest.mark.parametrize("architecture", [cifar10(8), imagenet(50)], ids=lambda net: net.name)
def test_a_native_net_has_as_many_parameters(loop_of, framework, architecture):
    assert loop_of(framework, architecture).parameters == architecture.parameters


@pytest.mark.parametrize("framework", MODULES)
@pytest.mark.parametrize("net", NETS)
def test_a_native_net_with_our_weights_says_what_ours_says(loop_of, framework, net):
    loop, model = loop_of(framework, NETS[net]), logits_model(NETS[net])
    loop.load(weights_of(model))
    x, _ = batch_for(NETS[net])
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(loop.logits(x), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("framework", MODULES)
def test_updates_of_a_native_net_are_ours(loop_of, framework):
    """Two updates: the loss, momentum, weight decay and moving statistics."""
    architecture = NETS["option A"]
    loop, model = loop_of(framework, architecture), logits_model(architecture)
    loop.load(weights_of(model))
    x, y = batch_for(architecture, images=64)
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for _ in range(2):
        loop.step(loop.to_device(x, y))
        model.train_on_batch(x, y)
    loss, accuracy = loop.measure()
    assert 0 < loss < 10
    assert 0 <= accuracy <= 1
    # PyTorch and TensorFlow keep the unbiased variance: 1/1024 more where the last stage has 4 x 4 pixels.
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(loop.logits(x), expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.slow
def test_the_program_writes_speeds_and_ratios(tmp_path):
    pytest.importorskip("flax" if BACKEND == "jax" else BACKEND)
    files = ("--json", str(tmp_path / "out.json"), "--markdown", str(tmp_path / "out.md"))
    done = run_python(PROGRAM, *SMALL, "--seconds", "0.2", "--rounds", "2", *files)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads((tmp_path / "out.json").read_text())
    assert result["setting"]["backend"] == BACKEND
    names = {"train", "fit", "own step", "keras step", "native step", "native loop"}
    assert result["images_per_second"].keys() == names
    assert all(len(rates) == 2 and min(rates) > 0 for rates in result["images_per_second"].values())
    assert result["median_ratio"]["train / native loop"] > 0
    assert "| resnet-8 |" in (tmp_path / "out.md").read_text()


@pytest.mark.slow
def test_the_program_measures_the_start(tmp_path):
    pytest.importorskip("flax" if BACKEND == "jax" else BACKEND)
    done = run_python(PROGRAM, *SMALL, "--start", "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    (result,) = json.loads((tmp_path / "out.json").read_text())
    for name in ("train", "native loop"):
        assert 0 < result["start"][name]["first_step_seconds"] < 600
        assert sys.platform == "win32" or result["start"][name]["peak_bytes"] > 1e7


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        (["train"], "invalid choice"),
        (["fit", "fit"], "one turn"),
        (["keras.applications fit"], "resnet-50"),
    ],
)
def test_who_cannot_run_beside_train_is_told_in_one_line(beside, said):
    done = run_python(PROGRAM, "--net", "resnet-20", "--beside", *beside)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wrong_net_is_one_line():
    done = run_python(PROGRAM, "--net", "resnet-21")
    assert done.returncode == 2
    assert "6n + 2" in done.stderr
    assert "Traceback" not in done.stderr
