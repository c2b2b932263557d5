"""`in_float32` gives what the same weights give in a net that was built in float32."""

import keras
import numpy as np
import pytest
from baseline_nets import SMALL
from conftest import run_python

from resnet_keras import cifar10
from resnet_keras.nets import residual
from resnet_keras.nets.build import build, in_float32

NETS = SMALL | {"residual": cifar10(8, image_size=8), "nested": cifar10(8, image_size=8)}


@pytest.mark.parametrize("name", NETS)
def test_a_net_of_mixed_precision_is_copied_to_float32(name, monkeypatch):
    if name == "nested":
        monkeypatch.setattr(residual, "FLAT_DEPTH", 2)
        monkeypatch.setattr(residual, "UNITS_PER_GROUP", 1)
    mixed, expected = (build(NETS[name], seed=1, precision=precision) for precision in ("mixed_bfloat16", "float32"))
    copy = in_float32(mixed)
    size = NETS[name].image_size
    images = np.random.default_rng(0).integers(0, 256, (3, size, size, 3)).astype(np.float32)
    outputs, wanted = (model.predict(images, verbose=0) for model in (copy, expected))
    for mine, theirs in zip(keras.tree.flatten(outputs), keras.tree.flatten(wanted), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="TensorFlow is the backend")
def test_a_copy_does_not_import_tensorflow():
    code = (
        "import sys; from resnet_keras import cifar10; from resnet_keras.nets.build import build, in_float32; "
        "in_float32(build(cifar10(8), precision='mixed_bfloat16')); print('tensorflow' in sys.modules)"
    )
    done = run_python("-c", code)
    assert done.stdout.split() == ["False"], done.stderr
