"""A model as a program of PyTorch's kernels gives what it gives when Keras calls its layers."""

import weakref

import keras
import numpy as np
import pytest

from resnet_keras import build, cifar10
from resnet_keras.backends.kernels import for_testing, with_backend_kernels

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="others trace a model once")

IMAGES = np.random.default_rng(0).normal(0, 1, (6, 8, 8, 3)).astype(np.float32)


def numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


def is_program(model):
    return type(model).__name__ == "_Program"


def test_tensors_that_several_layers_take():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 1, use_bias=False)(image)
    twice = keras.layers.Add()([x, x])
    several = keras.layers.Concatenate()([twice, keras.layers.Activation("relu")(x), image])
    model = keras.Model(image, keras.layers.Add()([several, several]))
    assert is_program(with_backend_kernels(model))
    np.testing.assert_allclose(numpy(with_backend_kernels(model)(IMAGES)), numpy(model(IMAGES)), rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_layers_know_whether_it_trains(training):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Dropout(0.999)(keras.layers.Activation("relu")(image)))
    dropped = (numpy(with_backend_kernels(model)(IMAGES, training=training)) == 0).mean()
    assert (dropped > 0.95) == training


def test_pixels_of_8_bits():
    net = build(cifar10(8, num_classes=3, image_size=8))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    assert is_program(with_backend_kernels(net))
    np.testing.assert_allclose(numpy(with_backend_kernels(net)(pixels)), numpy(net(pixels)), rtol=1e-4)


def test_a_net_is_tested_as_a_program_whoever_made_it():
    pooled = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.GlobalAveragePooling2D()]
    other = keras.Sequential([keras.Input((8, 8, 3)), *pooled, keras.layers.Dense(3, activation="softmax")])
    for net in (build(cifar10(8, num_classes=3, image_size=8)), other):
        tested = for_testing(net)
        assert is_program(tested)
        np.testing.assert_allclose(tested.predict_on_batch(IMAGES), net.predict_on_batch(IMAGES), rtol=1e-5)


def test_nested_models():
    """As in nets of more than 152 layers."""
    inner_input = keras.Input((8, 8, 3))
    inner = keras.Model(inner_input, keras.layers.Add()([inner_input, keras.layers.ZeroPadding2D(0)(inner_input)]))
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Activation("relu")(inner(inner(image))))
    assert is_program(with_backend_kernels(model))
    np.testing.assert_allclose(numpy(with_backend_kernels(model)(IMAGES)), np.maximum(4 * IMAGES, 0), rtol=1e-6)


def test_what_is_more_than_layers_of_tensors_is_called_by_keras():
    class Scaled(keras.layers.Layer):
        def call(self, inputs, by=1.0):
            return inputs * by

    image = keras.Input((8, 8, 3))
    model = keras.Model(image, Scaled()(image, by=3.0))
    assert not is_program(with_backend_kernels(model))
    np.testing.assert_allclose(numpy(with_backend_kernels(model)(IMAGES)), 3 * IMAGES, rtol=1e-6)
    named = keras.Model(image, keras.layers.Activation("relu")(inputs=image))
    assert not is_program(with_backend_kernels(named))
    two = keras.Model(image, [image, keras.layers.Activation("relu")(image)])
    assert not is_program(with_backend_kernels(two))
    for mine, other in zip(with_backend_kernels(two)(IMAGES), (IMAGES, np.maximum(IMAGES, 0)), strict=True):
        np.testing.assert_allclose(numpy(mine), other)


def test_nested_models_that_keras_calls():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs + 1

    image, first, second = (keras.Input((8, 8, 3)) for _ in range(3))
    sequential = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Activation("relu")])
    of_two = keras.Model([first, second], keras.layers.Subtract()([first, second]))
    model = keras.Model(image, of_two([sequential(image), Own()(image)]))
    assert is_program(with_backend_kernels(model))
    np.testing.assert_allclose(
        numpy(with_backend_kernels(model)(IMAGES)), np.maximum(IMAGES, 0) - IMAGES - 1, rtol=1e-5, atol=1e-6
    )


def test_what_keras_does_around_a_call_is_done_where_it_matters():
    image = keras.Input((8, 8, 3))
    half = keras.layers.Activation("relu", dtype="mixed_bfloat16")(image)
    whole = keras.layers.Activation("linear", dtype="float32", activity_regularizer=keras.regularizers.L2(1.0))(half)
    model = keras.Model(image, whole)
    one = with_backend_kernels(model)
    assert is_program(one)
    output = one(IMAGES)
    assert str(output.dtype) == "torch.float32"
    assert numpy(output).max() != IMAGES.max()  # rounded to 8 significant bits on the way
    assert float(sum(one.losses)) > 0


def test_what_another_layer_reads_is_not_overwritten():
    """A ReLU overwrites a normalisation or a sum that it alone reads; here other layers read them too."""
    image = keras.Input((8, 8, 3))
    norm = keras.layers.BatchNormalization()(image)
    relu = keras.layers.Activation("relu")(norm)
    total = keras.layers.Add()([norm, relu])
    twice = keras.layers.Add()([total, total])
    model = keras.Model(image, keras.layers.Add()([keras.layers.Activation("relu")(twice), twice]))
    one = with_backend_kernels(model)
    assert is_program(one)
    mean, deviation = IMAGES.mean((0, 1, 2)), IMAGES.std((0, 1, 2))
    z = (IMAGES - mean) / np.sqrt(deviation**2 + 1e-3)
    expected = 2 * (z + np.maximum(z, 0))
    np.testing.assert_allclose(numpy(one(IMAGES, training=True)), np.maximum(expected, 0) + expected, atol=1e-4)
    of_norm = keras.Model(image, keras.layers.BatchNormalization()(image))
    also_its_output = keras.Model(image, keras.layers.Activation("relu")(of_norm(image)))
    assert numpy(with_backend_kernels(of_norm)(IMAGES)).min() < 0
    assert numpy(with_backend_kernels(also_its_output)(IMAGES)).min() == 0


def test_a_convolution_pads_itself_where_nothing_else_takes_what_was_padded():
    image = keras.Input((8, 8, 3))
    padded = keras.layers.ZeroPadding2D((2, 1))(image)
    x = keras.layers.Conv2D(4, 3, strides=2)(padded)
    again = keras.layers.Conv2D(4, 3)(keras.layers.ZeroPadding2D(((1, 0), (0, 2)))(x))  # unequal sides
    both = keras.layers.Conv2D(4, 3, padding="same")(keras.layers.ZeroPadding2D(1)(again))
    by_keras = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.ZeroPadding2D(1)(both))
    both = keras.layers.Conv2D(4, 3, activity_regularizer="l2")(keras.layers.ZeroPadding2D(1)(by_keras))
    alone, shared = keras.Model(image, both), keras.Model(image, [x, padded])
    for model in (alone, keras.Model(image, x), keras.Model(image, keras.layers.Flatten()(padded))):
        assert is_program(with_backend_kernels(model))
        np.testing.assert_allclose(numpy(with_backend_kernels(model)(IMAGES)), numpy(model(IMAGES)), atol=1e-5)
    flat = [keras.layers.Flatten()(one) for one in shared.outputs]
    model = keras.Model(image, keras.layers.Concatenate()(flat))
    np.testing.assert_allclose(numpy(with_backend_kernels(model)(IMAGES)), numpy(model(IMAGES)), atol=1e-5)


def test_what_is_computed_last_is_alone_in_memory():
    """A tensor is freed as soon as no layer needs it: a deep net takes no more memory than a shallow one."""
    import torch

    alive, most = [], []

    class Watched(keras.layers.Layer):
        def call(self, inputs):
            output = inputs + 1
            alive.append(weakref.ref(output))
            most.append(sum(one() is not None for one in alive))
            return output

    image = x = keras.Input((8, 8, 3))
    for number in range(6):
        x = Watched(name=f"watched{number}")(x)
    model = with_backend_kernels(keras.Model(image, x))
    alive.clear()
    most.clear()
    with torch.no_grad():
        model(IMAGES)
    assert max(most) <= 2


def test_a_normalisation_that_is_called_twice_moves_twice():
    """And two with different momenta each move by their own."""
    image = keras.Input((8, 8, 3))
    norm = keras.layers.BatchNormalization(momentum=0.9)
    other = keras.layers.BatchNormalization(momentum=0.5)
    x = 3 * IMAGES + 2
    with_backend_kernels(keras.Model(image, other(norm(norm(image)))))(x, training=True)
    mean, first = x.mean((0, 1, 2)), x.var((0, 1, 2))
    second = first / (first + 1e-3)
    third = second / (second + 1e-3)
    np.testing.assert_allclose(numpy(norm.moving_mean), 0.9 * 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(numpy(norm.moving_variance), 0.9 * (0.9 + 0.1 * first) + 0.1 * second, rtol=1e-5)
    np.testing.assert_allclose(numpy(other.moving_variance), 0.5 + 0.5 * third, rtol=1e-5)
