"""Layers in one kernel each, against a computation by hand and against Keras's stock layers."""

import keras
import numpy as np
import pytest

from resnet_keras import build, cifar10
from resnet_keras.backends import distribution
from resnet_keras.backends.kernels import set_kernel_memory_format, with_backend_kernels
from resnet_keras.errors import InvalidValue
from resnet_keras.spec.architecture import Architecture, Stage, Stem
from resnet_keras.spec.paper_recipes import CIFAR10
from resnet_keras.training.logits_model import training_model

ONE_KERNEL = ("torch", "tensorflow")
"""Backends with kernels of their own; on JAX, XLA fuses."""


def numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


@pytest.fixture
def called_by_keras(monkeypatch):
    """Names of the layers that a model runs through `__call__`: the others' kernels run without it."""

    def names(model, x):
        seen, call = [], keras.layers.Layer.__call__

        def watched(layer, *arguments, **options):
            seen.append(layer.name)
            return call(layer, *arguments, **options)

        with monkeypatch.context() as inside:
            inside.setattr(keras.layers.Layer, "__call__", watched)
            model(x)
        return seen

    return names


@pytest.fixture
def pair():
    image = keras.Input((5, 4, 3))
    norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, axis=-1, name="norm")
    stock = keras.Model(image, norm(image))
    random = np.random.default_rng(0)
    norm.set_weights([random.uniform(0.5, 2, 3), random.normal(0, 1, 3), random.normal(0, 1, 3), np.full(3, 2.0)])
    return stock, with_backend_kernels(stock)


def test_it_is_what_the_backend_has_a_kernel_for(pair):
    stock, one = pair
    assert (one is stock) == (keras.backend.backend() not in ONE_KERNEL)
    assert [variable.path for variable in one.variables] == [variable.path for variable in stock.variables]
    assert {id(variable) for variable in one.variables} == {id(variable) for variable in stock.variables}


def test_a_training_step_by_hand(pair):
    stock, one = pair
    x = np.random.default_rng(1).normal(3, 2, (6, 5, 4, 3)).astype(np.float32)
    gamma, beta, moving_mean, moving_variance = stock.get_weights()
    got = numpy(one(x, training=True))
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))  # divided by n
    np.testing.assert_allclose(got, (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta, atol=2e-5)
    kept = stock.get_weights()
    np.testing.assert_allclose(kept[2], 0.9 * moving_mean + 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(kept[3], 0.9 * moving_variance + 0.1 * variance, rtol=1e-5)
    at_rest = numpy(one(x, training=False))
    np.testing.assert_allclose(at_rest, (x - kept[2]) / np.sqrt(kept[3] + 1e-5) * gamma + beta, atol=2e-5)


@pytest.mark.skipif(keras.backend.backend() not in ONE_KERNEL, reason="the net stays as it is")
@pytest.mark.parametrize(
    ("network", "precision"),
    [
        (cifar10(8, "B", 3, image_size=8), "float32"),
        (cifar10(8, "A", 3, image_size=8), "mixed_bfloat16"),
        (
            Architecture(
                Stem(8, 7, 2, True), (Stage(8, 1, 1), Stage(16, 1, 2)), "bottleneck", "B", 3, 32, "3x3", "channel"
            ),
            "float32",
        ),
    ],
    ids=["basic", "mixed", "bottleneck"],
)
def test_a_net_trains_as_with_stock_layers(network, precision):
    size = network.image_size
    x = np.random.default_rng(2).integers(0, 256, (6, size, size, 3)).astype(np.uint8)
    y = np.arange(6) % 3
    nets = [build(network, seed=1, precision=precision) for _ in range(2)]
    for trained in (nets[0], with_backend_kernels(nets[1])):
        trained.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss="sparse_categorical_crossentropy")
        for _ in range(2):
            trained.train_on_batch(x, y)
    tolerance = {"float32": 1e-3, "mixed_bfloat16": 0.05}[precision]
    for mine, other in zip(*(net.weights for net in nets), strict=True):
        np.testing.assert_allclose(numpy(mine), numpy(other), atol=tolerance, rtol=tolerance, err_msg=mine.path)


def test_nested_models_too():
    """As in nets of more than 152 layers."""
    inner_input = keras.Input((5, 4, 3))
    inner = keras.Model(inner_input, keras.layers.BatchNormalization(axis=-1)(inner_input), name="inner")
    image = keras.Input((5, 4, 3))
    one = with_backend_kernels(keras.Model(image, inner(image)))
    if keras.backend.backend() == "tensorflow":
        assert [type(layer).__name__ for layer in one.get_layer("inner").layers[1:]] == ["_Normalization"]
    x = np.random.default_rng(1).normal(3, 2, (6, 5, 4, 3)).astype(np.float32)
    one(x, training=True)
    np.testing.assert_allclose(inner.get_weights()[2], 0.01 * x.mean(axis=(0, 1, 2)), rtol=1e-4)


def test_what_is_frozen_or_no_stock_layer_stays_as_it_is(pair, called_by_keras):
    stock, one = pair
    stock.get_layer("norm").trainable = False
    x = np.random.default_rng(1).normal(3, 2, (6, 5, 4, 3)).astype(np.float32)
    before = stock.get_weights()
    one(x, training=True)
    for old, new in zip(before, stock.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)

    class Own(keras.layers.BatchNormalization):
        pass

    image = keras.Input((5, 4, 3))
    other = with_backend_kernels(
        keras.Model(image, Own(name="own")(keras.layers.BatchNormalization(axis=1, name="rows")(image)))
    )
    assert called_by_keras(other, x)[-2:] == ["rows", "own"]


@pytest.mark.parametrize(
    ("options", "has_a_kernel"),
    [
        ({"kernel_size": 3, "padding": "same"}, True),
        ({"kernel_size": 1, "padding": "same"}, True),
        ({"kernel_size": 3, "padding": "valid", "strides": 2}, True),
        ({"kernel_size": 3, "padding": "same", "strides": 2}, False),  # Keras pads one side more
        ({"kernel_size": 2, "padding": "same"}, False),
        ({"kernel_size": 3, "padding": "same", "dilation_rate": 2}, True),
        ({"kernel_size": 3, "padding": "same", "use_bias": True, "bias_initializer": "ones"}, True),
        ({"kernel_size": 3, "padding": "same", "activation": "relu"}, False),
    ],
    ids=str,
)
def test_a_convolution_is_that_of_the_stock_layer(options, has_a_kernel, called_by_keras):
    image = keras.Input((7, 6, 3))
    stock = keras.layers.Conv2D(5, data_format="channels_last", name="conv", **{"use_bias": False} | options)
    model = keras.Model(image, stock(image))
    one = with_backend_kernels(model)
    assert one.output_shape == model.output_shape
    x = np.random.default_rng(3).normal(0, 1, (4, 7, 6, 3)).astype(np.float32)
    assert ("conv" not in called_by_keras(one, x)) == (has_a_kernel and keras.backend.backend() == "torch")
    np.testing.assert_allclose(numpy(one(x)), numpy(model(x)), atol=1e-5)


def test_a_normalisation_of_vectors_stays_as_it_is(called_by_keras):
    vector = keras.Input((6,))
    one = with_backend_kernels(
        keras.Model(vector, keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(4)(vector)))
    )
    assert "norm" in called_by_keras(one, np.ones((3, 6), np.float32))
    assert numpy(one(np.ones((3, 6), np.float32), training=True)).shape == (3, 4)


@pytest.mark.parametrize(
    ("pooling", "has_a_kernel"),
    [
        (keras.layers.MaxPooling2D(3, 2, data_format="channels_last"), True),
        (keras.layers.AveragePooling2D(1, 2, data_format="channels_last"), True),  # option A's
        (keras.layers.AveragePooling2D((3, 2), (1, 2), data_format="channels_last"), True),
        (keras.layers.MaxPooling2D(3, 2, "same", data_format="channels_last"), False),  # padded more on one side
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_pooling_is_that_of_the_stock_layer(pooling, has_a_kernel, called_by_keras):
    image = keras.Input((7, 6, 3))
    model = keras.Model(image, pooling(image))
    one = with_backend_kernels(model)
    assert one.output_shape == model.output_shape
    x = np.random.default_rng(4).normal(-3, 1, (4, 7, 6, 3)).astype(np.float32)  # below 0: zero padding would show
    assert (pooling.name not in called_by_keras(one, x)) == (has_a_kernel and keras.backend.backend() == "torch")
    np.testing.assert_allclose(numpy(one(x)), numpy(model(x)), rtol=1e-6)


def test_kernels_lie_where_pytorch_reads_them_and_keep_shape_and_numbers():
    net = build(cifar10(8, "B", 3, image_size=8), seed=1)
    before = net.get_weights()
    set_kernel_memory_format(net.trainable_variables)
    for old, variable in zip(before, net.weights, strict=True):
        np.testing.assert_array_equal(old, numpy(variable))
    if keras.backend.backend() == "torch":
        import torch

        kernel = net.get_layer("conv2_block1_1_conv").kernel
        as_pytorch_has_it = kernel.value.permute(3, 2, 0, 1)
        assert as_pytorch_has_it.is_contiguous(memory_format=torch.channels_last)
        twin = training_model(build(cifar10(8, "B", 3, image_size=8)), CIFAR10)
        kernels = [one for one in twin.trainable_variables + twin.optimizer.variables if len(one.shape) == 4]
        assert len(kernels) == 2 * (7 + 2)  # 7 convolutions, 2 projections, and the momentum of each
        for one in kernels:
            assert one.value.permute(3, 2, 0, 1).is_contiguous(memory_format=torch.channels_last)
        kernel.assign(np.zeros(kernel.shape))  # as when a checkpoint is read
        assert not as_pytorch_has_it.any()


@pytest.mark.skipif(keras.backend.backend() not in ONE_KERNEL, reason="the whole batch is normalised always")
def test_a_normalisation_that_cannot_be_synchronised_is_refused(monkeypatch):
    image = keras.Input((5, 4, 3))
    odd = keras.Model(image, keras.layers.BatchNormalization(axis=-1, scale=False, name="odd")(image))
    assert with_backend_kernels(odd)
    monkeypatch.setattr(distribution.current(), "synchronized", True)
    with pytest.raises(InvalidValue, match="Received: 'odd'"):
        with_backend_kernels(odd)
