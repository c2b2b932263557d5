"""The same checks for every architecture, and one net against another implementation."""

import functools
from dataclasses import replace

import keras
import numpy as np
import pytest
from baseline_nets import SMALL as BASELINES

from resnet_keras import build, cifar10, imagenet

SMALL = {"num_classes": 7, "image_size": 32}
PADDED_AT_THE_END = imagenet(18, num_classes=7, image_size=33)
PADDED_AT_THE_END = replace(PADDED_AT_THE_END, stem=replace(PADDED_AT_THE_END.stem, pool_padding="end"))
ARCHITECTURES = {
    net.name + suffix: net
    for net, suffix in [
        *((cifar10(8, shortcut), "") for shortcut in ("A", "B", "C", None)),
        *((cifar10(20, shortcut, 4, image_size=16), " small") for shortcut in ("A", None)),
        (cifar10(110), ""),
        *((imagenet(18, shortcut, **SMALL), "") for shortcut in ("A", "B", "C", None)),
        (PADDED_AT_THE_END, " pool padded at the end"),
        (imagenet(34, **SMALL), ""),
        (imagenet(34, None, **SMALL), ""),
        *((imagenet(50, shortcut, **SMALL), "") for shortcut in ("A", "B", "C")),
        (imagenet(50, stride_in="3x3", **SMALL), " stride in 3x3"),
        (imagenet(101, **SMALL), ""),
        (imagenet(152, stride_in="3x3", **SMALL), ""),
    ]
}


@functools.cache
def built(name):
    return (ARCHITECTURES | BASELINES)[name], build((ARCHITECTURES | BASELINES)[name])


@pytest.fixture(scope="module", params=ARCHITECTURES)
def residual_or_plain(request):
    return built(request.param)


@pytest.fixture(scope="module", params=ARCHITECTURES | BASELINES)
def net(request):
    return built(request.param)


@pytest.fixture(scope="module", params=BASELINES)
def baseline(request):
    return built(request.param)


@pytest.fixture(scope="module")
def images():
    return lambda size: np.random.default_rng(1).integers(0, 256, (3, size, size, 3)).astype(np.uint8)


def test_it_has_the_parameters_that_the_architecture_says(net):
    architecture, model = net
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == architecture.parameters


def test_its_convolutions_are_the_weighted_layers_that_the_depth_counts(residual_or_plain):
    architecture, model = residual_or_plain
    weighted = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense) and not layer.name.endswith("_0_conv")
    ]
    assert len(weighted) == architecture.depth


def test_the_longest_way_through_it_has_the_weighted_layers_that_the_depth_counts(baseline):
    architecture, model = baseline
    ways = {}
    for operation in model.operations:
        (node,) = operation._inbound_nodes
        before = max((ways[tensor._keras_history.operation] for tensor in node.input_tensors), default=0)
        ways[operation] = before + isinstance(operation, keras.layers.Conv2D | keras.layers.Dense)
    assert ways[model.outputs[0]._keras_history.operation] == architecture.depth


def test_its_convolutions_do_the_multiply_adds_that_the_architecture_says(net):
    architecture, model = net
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            total += int(np.prod(layer.kernel.shape)) * int(np.prod(layer.output.shape[1:3]))
        elif isinstance(layer, keras.layers.Dense):
            total += int(np.prod(layer.kernel.shape))
    assert total == architecture.multiply_adds


def test_it_is_made_of_stock_layers(net):
    _, model = net
    for layer in model.layers:
        registered = keras.saving.get_registered_name(type(layer))
        assert getattr(keras.layers, type(layer).__name__) is type(layer), layer
        assert ">" not in registered, registered
        assert not isinstance(layer, keras.layers.Lambda)
    # What is not a layer is an operation of `keras.ops`.
    others = [type(operation) for operation in model.operations if not isinstance(operation, keras.layers.Layer)]
    assert all(hasattr(keras.ops, other.__name__.lower()) for other in others)


def test_plain_nets_have_no_addition_and_residual_nets_one_a_unit(residual_or_plain):
    architecture, model = residual_or_plain
    additions = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert len(additions) == (0 if architecture.shortcut is None else len(list(architecture.units())))


def test_uint8_and_float_pixels_give_the_same_probabilities(net, images):
    architecture, model = net
    x = images(architecture.image_size)
    outputs = len(model.outputs)
    from_uint8 = np.asarray(model.predict(x, verbose=0)).reshape(outputs, 3, architecture.num_classes)
    from_float = np.asarray(model.predict(x.astype(np.float32), verbose=0)).reshape(from_uint8.shape)
    np.testing.assert_array_equal(from_uint8, from_float)
    np.testing.assert_allclose(from_uint8.sum(axis=2), 1, atol=1e-5)


def test_keras_configured_for_channels_first_builds_the_same_net():
    keras.config.set_image_data_format("channels_first")
    try:
        for shortcut in (None, "A", "B"):
            architecture = cifar10(8, shortcut)
            model = build(architecture)
            assert model.get_layer("conv4_block1_out").output.shape == (None, 8, 8, 64)
            assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == architecture.parameters
    finally:
        keras.config.set_image_data_format("channels_last")


def test_keras_configured_for_channels_first_builds_the_same_comparison_systems(baseline, images):
    architecture, model = baseline
    x = images(architecture.image_size)
    keras.config.set_image_data_format("channels_first")
    try:
        other = build(architecture)
        got = other.predict(x, verbose=0)
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(np.asarray(got), np.asarray(model.predict(x, verbose=0)))


def test_option_a_is_the_subsampled_input_padded_with_zero_channels():
    """By hand: every second pixel, then zeros up to the unit's filters."""
    model = build(cifar10(8))
    unit_input, shortcut = model.get_layer("conv2_block1_out").output, model.get_layer("conv3_block1_0_pad").output
    x = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    before, after = keras.Model(model.input, [unit_input, shortcut]).predict(x, verbose=0)
    np.testing.assert_array_equal(after[..., :16], before[:, ::2, ::2])
    assert not after[..., 16:].any()
    assert after.shape == (2, 16, 16, 32)


def test_the_relu_comes_after_the_addition():
    model = build(cifar10(8))
    total, out = model.get_layer("conv2_block1_add").output, model.get_layer("conv2_block1_out").output
    x = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    before, after = keras.Model(model.input, [total, out]).predict(x, verbose=0)
    assert before.min() < 0
    np.testing.assert_array_equal(after, np.maximum(before, 0))


def test_resnet50_computes_what_keras_applications_computes():
    """Random weights, copied by layer name. Keras's convolutions have biases, which go into the moving mean."""
    random = np.random.default_rng(5)
    theirs = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)
    ours = build(imagenet(50, num_classes=10, image_size=64))
    ours.get_layer("mean").set_weights([np.zeros(3), np.ones(3), np.array(0)])
    ours.get_layer("mean").finalize_state()
    biases = {}
    for layer in theirs.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            # gamma, beta, moving mean, moving variance
            low, high = (0.1, 0.3) if layer.name.endswith("_3_bn") else (0.7, 1.3)
            weights = [random.uniform(low, high, w.shape) for w in weights[:1]]
            weights += [random.normal(0, 0.1, layer.beta.shape) for _ in range(2)]
            weights += [random.uniform(0.5, 1.5, layer.beta.shape)]
            layer.set_weights(weights)
            gamma, beta, mean, variance = weights
            bias = biases[layer.name.removesuffix("_bn")]
            # Their epsilon is 1.001e-5.
            ours.get_layer(layer.name).set_weights([gamma, beta, mean - bias, variance + 0.001e-5])
        elif isinstance(layer, keras.layers.Conv2D):
            kernel, bias = weights[0], random.normal(0, 0.1, weights[1].shape)
            layer.set_weights([kernel, bias])
            biases[layer.name.removesuffix("_conv")] = bias
            ours.get_layer(layer.name).set_weights([kernel])
        elif isinstance(layer, keras.layers.Dense):
            ours.get_layer(layer.name).set_weights(weights)
    x = random.normal(0, 1, (4, 64, 64, 3)).astype(np.float32)
    expected = np.asarray(theirs.predict(x, verbose=0))
    assert expected.max() < 0.999  # not saturated, or the comparison would say nothing
    assert np.ptp(expected, axis=0).max() > 1e-3  # the images differ
    np.testing.assert_allclose(np.asarray(ours.predict(x, verbose=0)), expected, atol=1e-4)
    logits = [keras.Model(m.input, m.get_layer("avg_pool").output).predict(x, verbose=0) for m in (ours, theirs)]
    np.testing.assert_allclose(logits[0], logits[1], rtol=1e-3, atol=1e-4)
