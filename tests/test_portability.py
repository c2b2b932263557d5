"""A file written on this backend, loaded by bare processes on every other: they need only stock Keras."""

import json
import zipfile
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from baseline_nets import ONE_OUTPUT
from conftest import BACKEND, ROOT, run_python, small_data_

from resnet_keras import Recipe, build, cifar10, imagenet, load, run, save, subtract_mean
from resnet_keras.programs.backend import BACKENDS

NETS = {
    "cifar10-20-A": cifar10(20),
    "cifar10-8-B": cifar10(8, "B"),
    "cifar10-8-C": cifar10(8, "C"),
    "cifar10-8-plain": cifar10(8, None),
    "imagenet-18-A": imagenet(18, num_classes=10, image_size=64),
    "imagenet-50-B": imagenet(50, num_classes=10, image_size=64),
    **ONE_OUTPUT,
}
BARE = """
import json, sys
import keras, numpy as np
folder = sys.argv[1]
differences = {}
for name in sys.argv[2:]:
    model = keras.models.load_model(f"{folder}/{name}.keras")
    x, expected = np.load(f"{folder}/{name}-x.npy"), np.load(f"{folder}/{name}-y.npy")
    got = np.asarray(keras.ops.convert_to_numpy(model(x, training=False)))
    differences[name] = float(np.abs(got - expected).max()) if np.isfinite(got).all() else "not finite"
print(json.dumps({
    "backend": keras.backend.backend(),
    "differences": differences,
    "recursion_limit": sys.getrecursionlimit(),
    "package_imported": "resnet_keras" in sys.modules,
}))
"""

TRAINS_ON = """
import json, sys
from importlib.machinery import PathFinder
class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        absent = name.partition(".")[0] in sys.argv[3].split(",")
        return None if absent else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
data = np.load(sys.argv[2])
slots = float(sum(np.abs(np.asarray(keras.ops.convert_to_numpy(one))).sum() for one in model.optimizer.variables[2:]))
model.fit(data["x"], data["y"], batch_size=6, shuffle=False, verbose=0)
weights = [np.asarray(keras.ops.convert_to_numpy(weight)).astype("float64") for weight in model.trainable_variables]
print(json.dumps({
    "is_sgd": isinstance(model.optimizer, keras.optimizers.SGD),
    "momentum": model.optimizer.momentum,
    "slots": slots,
    "weights": [float(np.abs(weight).sum()) for weight in weights],
}))
"""
"""As on a machine where the two other backends are not installed."""


def adapt(model: keras.Model, x: np.ndarray) -> None:
    """Sets the moving statistics to those of `x`, as training would: with their initial values a deep net overflows."""
    norms = [layer for layer in _flat(model) if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    model(x, training=True)
    for layer in norms:
        layer.momentum = 0.9
    if not norms:  # the pixels' scale reaches the softmax, which gives only 0 or 1
        logits = keras.Model(model.inputs, model.layers[-1].input).predict(x, verbose=0)
        kernel, bias = model.layers[-2].get_weights()
        model.layers[-2].set_weights([kernel / logits.std(), bias])


def _flat(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _flat(layer)
        else:
            yield layer


def pass_on(model: keras.Model) -> None:
    """Makes every convolution nearly an identity, in the linear range of its ReLU.

    A plain net of 1202 random layers amplifies rounding without limit: no two backends agree on it, and none is right.
    """
    for layer in _flat(model):
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (3, 3):
            (kernel,) = layer.get_weights()
            kernel *= 0.01
            for channel in range(kernel.shape[3]):
                kernel[1, 1, channel % kernel.shape[2], channel] += 1
            layer.set_weights([kernel])
        elif isinstance(layer, keras.layers.BatchNormalization):
            gamma, _, *moving = layer.get_weights()
            layer.set_weights([gamma, np.full_like(gamma, 3), *moving])


def write(folder, name, architecture, images=8, passing_on=False):
    size = architecture.image_size
    x = np.random.default_rng(3).integers(0, 256, (images, size, size, 3)).astype(np.uint8)
    model = build(architecture, seed=1)
    subtract_mean(model, x.mean(axis=0))
    if passing_on:
        pass_on(model)
    adapt(model, x)
    probabilities = keras.ops.convert_to_numpy(model(x, training=False))
    assert np.isfinite(probabilities).all()
    assert np.ptp(probabilities, axis=0).max() > 1e-3  # the images differ
    model.save(folder / f"{name}.keras")
    np.save(folder / f"{name}-x.npy", x)
    np.save(folder / f"{name}-y.npy", probabilities)


def load_bare(folder, names, backend):
    if find_spec(BACKENDS[backend]) is None:
        pytest.skip(f"{backend} is not installed")
    done = run_python("-P", "-c", BARE, str(folder), *names, backend=backend)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["backend"] == backend
    assert report["recursion_limit"] == 1000
    assert not report["package_imported"]
    return report["differences"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"written-on-{BACKEND}")
    for name, architecture in NETS.items():
        write(folder, name, architecture)
    return folder


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != BACKEND])
def test_a_bare_process_gives_the_same_probabilities(files, backend):
    differences = load_bare(files, NETS, backend)
    assert set(differences) == set(NETS)
    for name, difference in differences.items():
        assert difference < 1e-4, name


def train_on_elsewhere(path, data, backend):
    if find_spec(BACKENDS[backend]) is None:
        pytest.skip(f"{backend} is not installed")
    absent = ",".join(package for name, package in BACKENDS.items() if name != backend)
    done = run_python("-P", "-c", TRAINS_ON, str(path), str(data), absent, backend=backend)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a finished run, and six images to go on training with."""
    folder, images = tmp_path_factory.mktemp(f"trained-on-{BACKEND}"), small_data_()
    recipe = Recipe(iterations=2, learning_rate=0.01, batch_size=6)
    run(cifar10(8, num_classes=3, image_size=8), recipe, images, seed=0, out=folder)
    np.savez(folder / "data.npz", x=images.x_train[:6], y=images.y_train[:6])
    return folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_trained_net_trains_on_where_the_other_backends_are_not_installed(trained, backend):
    model = keras.models.load_model(trained / "model.keras")
    momenta = [np.abs(keras.ops.convert_to_numpy(one)).sum() for one in model.optimizer.variables[2:]]
    with np.load(trained / "data.npz") as data:
        model.fit(data["x"], data["y"], batch_size=6, shuffle=False, verbose=0)
    weights = [np.abs(keras.ops.convert_to_numpy(weight)).sum() for weight in model.trainable_variables]

    report = train_on_elsewhere(trained / "model.keras", trained / "data.npz", backend)
    assert report["is_sgd"]
    assert report["momentum"] == 0.9
    np.testing.assert_allclose(report["slots"], np.sum(momenta), rtol=1e-5)
    np.testing.assert_allclose(report["weights"], weights, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_file_names_no_backend_whatever_the_net_was_compiled_with(tmp_path, optimizer):
    model = build(cifar10(8, image_size=8))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    save(model, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        compiled = json.loads(archive.read("config.json"))["compile_config"]
    assert "backend" not in json.dumps(compiled)
    assert compiled["optimizer"]["module"] == "keras.optimizers"
    assert compiled["optimizer"]["registered_name"] is None
    assert compiled["jit_compile"] == "auto"


def test_load_opens_an_earlier_file_that_names_torch_and_save_mends_it(tmp_path):
    """Earlier files name Keras's private optimizer class for PyTorch."""
    earlier = ROOT / "tests" / "files" / "8d48f2f" / "torch" / "finished" / "model.keras"
    assert b"keras.src.backend.torch" in zipfile.ZipFile(earlier).read("config.json")
    save(load(earlier), tmp_path / "model.keras")
    assert b"keras.src.backend" not in zipfile.ZipFile(tmp_path / "model.keras").read("config.json")
    x = small_data_().x_test
    mended = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(mended.predict(x, verbose=0), load(earlier).predict(x, verbose=0), rtol=1e-4)


@pytest.mark.any_backend
@pytest.mark.parametrize("shortcut", ["A", pytest.param(None, marks=pytest.mark.slow)], ids=["residual", "plain"])
def test_1202_layers_are_built_saved_and_loaded_at_pythons_recursion_limit(shortcut, tmp_path):
    build(cifar10(1202, shortcut)).save(tmp_path / "net.keras")
    code = (
        "import json, math, sys, keras; "
        "model = keras.models.load_model(sys.argv[1]); "
        "count = sum(math.prod(weight.shape) for weight in model.trainable_weights); "
        "print(json.dumps([count, sys.getrecursionlimit()]))"
    )
    done = run_python("-P", "-c", code, str(tmp_path / "net.keras"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [19_421_274, 1000]


@pytest.fixture(scope="module")
def deep_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"deep-on-{BACKEND}")
    write(folder, "residual", cifar10(1202), images=4)
    write(folder, "plain", cifar10(1202, None), images=4, passing_on=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_1202_layers_build_save_and_load(deep_files, backend):
    differences = load_bare(deep_files, ["residual", "plain"], backend)
    assert differences["residual"] < 1e-4
    assert differences["plain"] < 1e-4
