"""What Keras's `fit` and `evaluate` are given, on each backend: every batch once, in order, and errors unchanged."""

import gc
import weakref

import keras
import numpy as np
import pytest

from resnet_keras.backends.feeding import fed

BOTH = pytest.mark.parametrize(
    ("kind", "options"), [("fit", {"shuffle": False}), ("evaluate", {})], ids=["fit", "evaluate"]
)


def summing(learning_rate=0.0):
    """A net for one-pixel images whose loss is label * weight: SGD subtracts the mean label from the weight."""
    pixels = keras.Input((1, 1, 3), dtype="uint8")
    model = keras.Model(pixels, keras.layers.Dense(1, use_bias=False)(keras.layers.Flatten()(pixels)))
    model.compile(keras.optimizers.SGD(learning_rate), loss=lambda y, x: keras.ops.cast(y, "float32") * x[:, 0])
    model.set_weights([np.ones((3, 1), "float32")])
    return model


def batch_of(number):
    """Two images, all pixels 1; the label is ten to the power of the number."""
    return np.ones((2, 1, 1, 3), np.uint8), np.full(2, 10**number, np.int32)


def test_fit_takes_each_number_once():
    model = summing(learning_rate=1.0)
    with fed(batch_of, range(1, 5)) as taken:
        model.fit(taken, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0][:, 0], [1.0 - 11_110.0] * 3)


def test_fit_takes_them_in_order_and_no_more_than_wait_in_a_queue():
    asked, seen = [], []

    def batch(number):
        asked.append(number)
        return batch_of(0)

    class Three(keras.callbacks.Callback):
        def on_train_batch_end(self, number, logs=None):
            seen.append(number)
            self.model.stop_training = len(seen) == 3

    model = summing(learning_rate=0.125)
    with fed(batch, range(100, 10_000)) as taken:
        model.fit(taken, shuffle=False, verbose=0, callbacks=[Three()])
    assert len(seen) == 3
    assert asked == sorted(asked)  # JAX and PyTorch request the first one twice, to build the net
    assert set(asked) == set(range(100, asked[-1] + 1))
    assert 102 <= asked[-1] < 120
    np.testing.assert_array_equal(model.get_weights()[0][:, 0], [1.0 - 3 * 0.125] * 3)


def test_evaluate_weighs_a_smaller_last_batch_by_its_images():
    def batch(number):
        images = 4 if number == 0 else 1
        return np.ones((images, 1, 1, 3), np.uint8), np.full(images, number, np.int32)

    with fed(batch, range(2)) as taken:
        loss = summing().evaluate(taken, verbose=0)
    assert loss == pytest.approx(3 * 1 / 5)


@pytest.mark.parametrize("first", [0, 2], ids=["the first batch", "a later one"])
@BOTH
def test_an_error_of_the_images_comes_out_as_it_was(kind, options, first):
    error = FileNotFoundError(2, "gone", "photograph.jpeg")

    def batch(number):
        if number >= first:
            raise error
        return batch_of(0)

    model = summing()
    with pytest.raises(FileNotFoundError) as caught, fed(batch, range(5)) as taken:
        getattr(model, kind)(taken, verbose=0, **options)
    assert caught.value is error


@BOTH
def test_the_images_are_let_go(kind, options):
    """TensorFlow keeps a pipeline's functions for good."""

    class Images:
        def batch(self, number):
            return batch_of(0)

    images = Images()
    held, model = weakref.ref(images), summing()
    with fed(images.batch, range(3)) as taken:
        getattr(model, kind)(taken, verbose=0, **options)
    del images, taken
    gc.collect()
    assert held() is None


def test_another_error_is_not_taken_for_one_of_the_images():
    with pytest.raises(ZeroDivisionError), fed(batch_of, range(1)):
        _ = 1 / 0
