"""The layers that only the comparison systems have, reloaded from a saved file, against PyTorch's own."""

import keras
import numpy as np
import pytest
from baseline_nets import SMALL
from keras import layers

from resnet_keras import build
from resnet_keras.nets.baselines.inception import inception_module
from resnet_keras.nets.baselines.layers import local_response_normalization, max_pool
from resnet_keras.nets.blocks import LayerFactory
from resnet_keras.spec.baselines.inception import Branch, Module
from resnet_keras.spec.baselines.layers import Pool

torch = pytest.importorskip("torch")
MAKE = LayerFactory(0.0, seed=0)


def reloaded(image, x, tmp_path):
    keras.Model(image, x).save(tmp_path / "layers.keras")
    return keras.models.load_model(tmp_path / "layers.keras")


def as_torch(x):
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def as_keras(x):
    return x.permute(0, 2, 3, 1).numpy()


def test_local_response_normalization_is_that_of_torch_and_caffe(tmp_path):
    """On numbers in the hundreds, lest the 1 swamp the sum; PyTorch too divides alpha by the five channels."""
    image = keras.Input((5, 4, 12))
    model = reloaded(image, local_response_normalization(image, "norm1"), tmp_path)
    x = np.random.default_rng(0).normal(0, 300, (2, 5, 4, 12)).astype(np.float32)
    expected = as_keras(torch.nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)(as_torch(x)))
    assert np.abs(expected / x).min() < 0.3
    np.testing.assert_allclose(np.asarray(model.predict(x, verbose=0)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [12, 13, 14, 15])
@pytest.mark.parametrize(("rounds", "kernel"), [("up", 3), ("down", 2), ("down", 3)])
def test_pools_round_as_told(size, rounds, kernel, tmp_path):
    pool = Pool("pool", kernel, 2, rounds)
    image = keras.Input((size, size, 3))
    model = reloaded(image, max_pool(MAKE, layers.ReLU()(image), pool), tmp_path)
    x = np.random.default_rng(1).normal(-1, 1, (2, size, size, 3)).astype(np.float32)
    expected = torch.nn.functional.max_pool2d(as_torch(x).relu(), kernel, 2, ceil_mode=rounds == "up")
    np.testing.assert_array_equal(np.asarray(model.predict(x, verbose=0)), as_keras(expected))
    assert model.output_shape[1] == pool.output_size(size) == expected.shape[2]


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(("strides", "kind"), [(1, "max"), (1, "average"), (2, "max")])
def test_pools_in_a_module_are_those_of_the_ports(size, strides, kind, tmp_path):
    """Cadene's: padded by one pixel at stride 1, unpadded and rounded up at stride 2; averages count the padding."""
    module = Module("module", 3, strides, (Branch(kind, ()),))
    image = keras.Input((size, size, 3))
    model = reloaded(image, inception_module(MAKE, layers.ReLU()(image), module, None), tmp_path)
    x = np.random.default_rng(2).normal(0, 1, (2, size, size, 3)).astype(np.float32)
    pool = torch.nn.functional.max_pool2d if kind == "max" else torch.nn.functional.avg_pool2d
    padded = {"padding": 1} if strides == 1 else {"ceil_mode": True}
    expected = as_keras(pool(as_torch(x).relu(), 3, strides, **padded))
    got = np.asarray(model.predict(x, verbose=0))
    fit = expected.shape[1]  # from 7 pixels at stride 2, a 3x3 convolution makes one more than the ports' pool
    np.testing.assert_allclose(got[:, :fit, :fit], expected, rtol=1e-6, atol=1e-6)
    assert got.shape[1] == module.output_size(size) == (size + 2 - 3) // strides + 1


def test_a_prelu_has_a_slope_for_each_channel_that_starts_at_a_quarter_and_does_not_decay():
    model = build(SMALL["PReLU-net"], weight_decay=0.01)
    slopes = [layer for layer in model.layers if isinstance(layer, layers.PReLU)]
    assert [layer.alpha.shape for layer in slopes] == [(1, 1, 4)] * 2 + [(1, 1, 5)] * 2 + [(1, 1, 6)] + [(8,)] * 2
    assert all((layer.get_weights()[0] == 0.25).all() and layer.alpha_regularizer is None for layer in slopes)


def test_initial_weights_are_those_of_the_papers():
    """PReLU-net: standard deviation sqrt(2 / fan-out). VGG, GoogLeNet: the limits of Glorot's and Caffe's uniform."""
    kernel = build(SMALL["PReLU-net"]).get_layer("conv1_conv").get_weights()[0]  # 7 x 7 x 3 x 4
    assert kernel.std() == pytest.approx(np.sqrt(2 / (49 * 4)), rel=0.1)
    kernel, bias = build(SMALL["VGG"]).get_layer("fc1").get_weights()  # 150 x 8
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / (150 + 8)), rel=0.02)
    assert not bias.any()
    kernel, bias = build(SMALL["GoogLeNet"]).get_layer("conv1_conv").get_weights()
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(3 / (49 * 3)), rel=0.02)
    np.testing.assert_array_equal(bias, np.float32(0.2))


def test_prelu_net_takes_the_images_at_a_standard_deviation_of_one():
    """ImageNet's standard deviation is the mean of torchvision's 0.229, 0.224, 0.225, on a scale of 0..1."""
    model = build(SMALL["PReLU-net"])
    image = np.array([0, 127.5, 255], np.float32)[:, None, None, None] * np.ones((1, 112, 112, 3), np.float32)
    scaled = keras.Model(model.input, model.get_layer("conv1_conv").input).predict(image, verbose=0)[:, 56, 56, 0]
    np.testing.assert_allclose(scaled, np.array([-0.5, 0, 0.5]) / np.mean([0.229, 0.224, 0.225]), rtol=0.02)


def test_dropout_is_where_the_papers_have_it():
    def rates(name):
        return [(one.name, one.rate) for one in build(SMALL[name]).layers if isinstance(one, layers.Dropout)]

    assert rates("VGG") == rates("PReLU-net") == [("fc1_dropout", 0.5), ("fc2_dropout", 0.5)]
    assert rates("GoogLeNet") == [("dropout", 0.4)]
    assert sorted(rates("GoogLeNet with heads")) == [("dropout", 0.4), ("head1_dropout", 0.7), ("head2_dropout", 0.7)]
    assert rates("BN-Inception") == []
