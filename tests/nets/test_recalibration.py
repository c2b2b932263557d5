"""True averages in batch normalisation against NumPy's means and variances over all values."""

import keras
import numpy as np
import pytest
from keras import layers

from resnet_keras import InvalidValue
from resnet_keras.nets import recalibration


def small_net():
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, name="first", data_format="channels_last")(image)
    x = layers.BatchNormalization(name="norm_1", momentum=0.9, axis=-1)(x)
    inner_input = keras.Input(x.shape[1:])
    inner = layers.Conv2D(5, 3, name="second", data_format="channels_last")(inner_input)
    inner = layers.BatchNormalization(name="norm_2", momentum=0.9, axis=-1)(inner)
    x = keras.Model(inner_input, inner, name="nested")(x)  # as in nets of more than 152 layers
    return keras.Model(image, layers.GlobalAveragePooling2D(data_format="channels_last")(x))


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_averages_are_those_of_all_values_together():
    model = small_net()
    random = np.random.default_rng(0)
    # Batches of different means, so that the mean of the variances alone would be wrong, and of different sizes.
    batches = [(random.normal(shift, 1, (n, 6, 6, 3))).astype(np.float32) for shift, n in ((0, 8), (3, 8), (-2, 4))]
    first, nested = model.get_layer("first"), model.get_layer("nested")
    kernel = model.get_layer("first").get_weights()
    assert recalibration.average_statistics(model, batches) == 20

    outputs = [numpy(first(batch)) for batch in batches]
    every = np.concatenate([output.reshape(-1, 4) for output in outputs]).astype(np.float64)
    norm = model.get_layer("norm_1")
    np.testing.assert_allclose(numpy(norm.moving_mean), every.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(numpy(norm.moving_variance), every.var(axis=0), rtol=1e-4)

    # The second layer sees each batch normalised by its own statistics.
    seen = []
    for output in outputs:
        mean, variance = output.mean(axis=(0, 1, 2)), output.var(axis=(0, 1, 2))
        gamma, beta = numpy(norm.gamma), numpy(norm.beta)
        normalised = (output - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta
        seen.append(numpy(nested.get_layer("second")(normalised)).reshape(-1, 5))
    every = np.concatenate(seen).astype(np.float64)
    norm = nested.get_layer("norm_2")
    np.testing.assert_allclose(numpy(norm.moving_mean), every.mean(axis=0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(numpy(norm.moving_variance), every.var(axis=0), rtol=1e-3)
    assert norm.momentum == 0.9
    np.testing.assert_array_equal(first.get_weights()[0], kernel[0])


def test_nothing_changes_where_there_is_nothing_to_average():
    model = small_net()
    before = model.get_weights()
    with pytest.raises(InvalidValue, match="none"):
        recalibration.average_statistics(model, [])

    def broken():
        yield np.ones((2, 6, 6, 3), np.float32)
        raise OSError("a bad photograph")

    with pytest.raises(OSError, match="a bad photograph"):
        recalibration.average_statistics(model, broken())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.get_layer("norm_1").momentum == 0.9
    plain = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    with pytest.raises(InvalidValue, match="none to replace"):
        recalibration.average_statistics(plain, [np.ones((1, 2))])
