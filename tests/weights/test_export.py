"""Nets in the formats of other runtimes, each run by its runtime."""

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import BACKEND, run_python

import resnet_keras
from resnet_keras import InputOutput, InvalidValue, build, cifar10
from resnet_keras.data.small import sources
from resnet_keras.weights.convert.parity import noise
from resnet_keras.weights.export import BACKENDS, PRECISIONS, SUFFIXES, TOOLS, check, export
from resnet_keras.weights.runtimes import PACKAGES, opened

HERE = [to for to, backends in BACKENDS.items() if BACKEND in backends]
SMALLER = [(to, precision) for to in HERE for precision in PRECISIONS[to] if precision != "float32"]


def need(to):
    for package in (*PACKAGES[to], *([TOOLS[to, BACKEND]] if (to, BACKEND) in TOOLS else [])):
        pytest.importorskip(package)


@pytest.fixture(scope="module")
def net():
    """A net whose mean and normalisations are not what layers begin with; images; and its probabilities for them."""
    model, random = build(cifar10(8), seed=1), np.random.default_rng(5)
    resnet_keras.subtract_mean(model, random.uniform(90, 150, (32, 32, 3)))
    for weight in model.weights:
        if "moving" in weight.path or weight.path.endswith(("gamma", "beta")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    images = noise(32, 30)
    return model, images, model.predict(images, verbose=0)


@pytest.mark.parametrize("to", HERE)
def test_its_own_runtime_gives_the_nets_probabilities(tmp_path, net, to):
    need(to)
    model, images, expected = net
    out = tmp_path / f"net{SUFFIXES[to]}"
    export(model, out, to)
    run = opened(out, to)
    np.testing.assert_allclose(run(images), expected, atol=1e-4)
    np.testing.assert_allclose(run(images[:1]), expected[:1], atol=1e-4)  # another number of images
    assert sorted(path.suffix for path in tmp_path.iterdir()) in ([SUFFIXES[to]], [".bin", ".xml"])


@pytest.mark.parametrize(("to", "precision"), SMALLER)
def test_smaller_numbers_are_near_and_the_file_is_smaller(tmp_path, net, to, precision):
    need(to)
    model, images, expected = net
    sizes = {}
    for name in ("float32", precision):
        out = tmp_path / f"{name}{SUFFIXES[to]}"
        export(model, out, to, precision=name, calibration=images)
        sizes[name] = (out.with_suffix(".bin") if to == "openvino" else out).stat().st_size
    assert sizes[precision] < (0.75 if precision == "float16" else 0.6) * sizes["float32"]
    found = opened(tmp_path / f"{precision}{SUFFIXES[to]}", to)(images)
    # An untrained net is less robust than a trained one.
    assert np.mean(found.argmax(axis=1) == expected.argmax(axis=1)) >= (0.95 if precision == "float16" else 0.7)
    assert not np.array_equal(found, expected)


@pytest.mark.real_weights
@pytest.mark.parametrize("to", HERE)
def test_a_trained_net_on_real_images(tmp_path, to):
    need(to)
    images = sources.load(Path(os.environ["TFDS_DATA_DIR"])).x_test[:200]
    file = Path(os.environ["WEIGHTS_DIR"]) / "akamaster" / "resnet20-12fca82f.th"
    resnet_keras.convert(file, tmp_path / "net.keras", images=images)
    model, out = resnet_keras.load(tmp_path / "net.keras"), tmp_path / f"net{SUFFIXES[to]}"
    export(model, out, to)
    np.testing.assert_allclose(opened(out, to)(images), model.predict(images, verbose=0), atol=1e-4)


@pytest.mark.any_backend
def test_what_is_not_to_be_had_is_one_line(tmp_path):
    with pytest.raises(
        InvalidValue, match=r"litert is written with the backend tensorflow\. Received: jax\..*KERAS_BACKEND=tensorflow"
    ):
        check("litert", "float32", "net.tflite", "jax")
    with pytest.raises(InvalidValue, match="savedmodel is written with the backend tensorflow or jax"):
        check("savedmodel", "float32", "net", "torch")
    with pytest.raises(InvalidValue, match="openvino is written in float32, float16"):
        check("openvino", "int8", "net.xml", "torch")
    with pytest.raises(InvalidValue, match=r"a file that ends in \.onnx\. Received: net\.xml"):
        check("onnx", "float32", "net.xml", "torch")
    (tmp_path / "net.onnx").write_bytes(b"no net")
    need("onnx")
    with pytest.raises(InputOutput, match="A net opened as onnx is in that format"):
        opened(tmp_path / "net.onnx", "onnx")


@pytest.mark.skipif(BACKEND != "torch", reason="once is enough")
def test_the_program(tmp_path, net, small_npz):
    need("onnx")
    model, _, _ = net
    resnet_keras.save(model, tmp_path / "net.keras")
    out = tmp_path / "net.onnx"
    done = run_python("recipes/export.py", str(tmp_path / "net.keras"), "--to", "onnx", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "same top-1 class 100.00%, 20 images" in done.stdout
    assert out.exists()
    wrong = run_python("recipes/export.py", str(tmp_path / "net.keras"), "--to", "litert", "--out", "net.tflite")
    assert wrong.returncode == 2
    assert "litert is written with the backend tensorflow. Received: torch." in wrong.stderr
