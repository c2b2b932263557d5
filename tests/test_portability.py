"""A file written on this backend, loaded by bare processes on every other: stock Keras is all that they need."""

import json
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from conftest import BACKEND, run_python

from resnet_keras import build, cifar10, imagenet, subtract_mean
from resnet_keras.programs.backend import BACKENDS

NETS = {
    "cifar10-20-A": cifar10(20),
    "cifar10-8-B": cifar10(8, "B"),
    "cifar10-8-C": cifar10(8, "C"),
    "cifar10-8-plain": cifar10(8, None),
    "imagenet-18-A": imagenet(18, num_classes=10, image_size=64),
    "imagenet-50-B": imagenet(50, num_classes=10, image_size=64),
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


def adapt(model: keras.Model, x: np.ndarray) -> None:
    """Sets the moving statistics to those of `x`, as training would: with its start values a deep net overflows."""
    norms = [layer for layer in _flat(model) if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    model(x, training=True)
    for layer in norms:
        layer.momentum = 0.9


def _flat(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _flat(layer)
        else:
            yield layer


def pass_on(model: keras.Model) -> None:
    """Makes every convolution nearly an identity, in the linear range of its ReLU.

    A plain net of 1202 random layers amplifies rounding to anything: no two backends agree on it, and none is right.
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


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bare_process_gives_the_same_probabilities(files, backend):
    differences = load_bare(files, NETS, backend)
    assert set(differences) == set(NETS)
    for name, difference in differences.items():
        assert difference < 1e-4, name


@pytest.mark.any_backend
def test_1202_layers_are_built_saved_and_loaded_at_pythons_recursion_limit(tmp_path):
    for name, shortcut in (("residual", "A"), ("plain", None)):
        build(cifar10(1202, shortcut)).save(tmp_path / f"{name}.keras")
    code = (
        "import json, math, sys, keras; "
        "models = [keras.models.load_model(f'{sys.argv[1]}/{name}.keras') for name in ('residual', 'plain')]; "
        "counts = [sum(math.prod(weight.shape) for weight in model.trainable_weights) for model in models]; "
        "print(json.dumps([*counts, sys.getrecursionlimit()]))"
    )
    done = run_python("-P", "-c", code, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [19_421_274, 19_421_274, 1000]


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
