"""The paper's numbers, and those that follow from its description (sections 3.3, 3.4, 4.2; Table 1; Table 6)."""

from dataclasses import replace
from itertools import pairwise

import keras
import numpy as np
import pytest

from resnet_keras import CIFAR10, InvalidValue, build, cifar10, cifar10_recipe, imagenet, subtract_mean
from resnet_keras.reports.published import CIFAR10_ERRORS
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.schedules import Period

CIFAR10_PARAMETERS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274}
IMAGENET_PARAMETERS = {
    (18, "A"): 11_515_688,
    (18, "B"): 11_689_512,
    (34, "A"): 21_623_848,
    (34, "B"): 21_797_672,
    (50, "B"): 25_557_032,
    (101, "B"): 44_549_160,
    (152, "B"): 60_192_808,
}
TABLE_1_MULTIPLY_ADDS = {18: 1.8e9, 34: 3.6e9, 50: 3.8e9, 101: 7.6e9, 152: 11.3e9}


@pytest.mark.parametrize(("depth", "parameters"), CIFAR10_PARAMETERS.items())
@pytest.mark.parametrize("shortcut", ["A", None])
def test_cifar10_parameters(depth, shortcut, parameters):
    net = cifar10(depth, shortcut)
    assert net.depth == depth
    assert net.parameters == parameters


@pytest.mark.parametrize(("depth", "option"), IMAGENET_PARAMETERS)
@pytest.mark.parametrize("stride_in", ["1x1", "3x3"])
def test_imagenet_parameters(depth, option, stride_in):
    net = imagenet(depth, option, stride_in=stride_in)
    assert net.depth == depth
    assert net.parameters == IMAGENET_PARAMETERS[depth, option]


@pytest.mark.parametrize("depth", [18, 34])
def test_a_plain_net_costs_what_option_a_costs(depth):
    plain, residual = imagenet(depth, None), imagenet(depth, "A")
    assert (plain.parameters, plain.multiply_adds) == (residual.parameters, residual.multiply_adds)


@pytest.mark.parametrize(("depth", "multiply_adds"), TABLE_1_MULTIPLY_ADDS.items())
def test_multiply_adds_of_table_1(depth, multiply_adds):
    assert imagenet(depth).multiply_adds == pytest.approx(multiply_adds, rel=0.02)


def test_default_options_are_those_of_tables_2_and_3():
    assert [imagenet(depth).shortcut for depth in (18, 34, 50, 101, 152)] == ["A", "A", "B", "B", "B"]
    assert cifar10(20).shortcut == "A"


def test_published_parameters_of_table_6():
    for row in CIFAR10_ERRORS:
        if row.parameters is not None:
            digits = len(str(row.parameters).split(".")[1])
            exact = cifar10(int(row.name.split("-")[1])).parameters / 1e6
            assert round(exact, digits) == pytest.approx(row.parameters), row.name


@pytest.mark.parametrize("depth", [21, 2, 1208, "20", 20.0, True, -4])
def test_a_depth_is_6n_plus_2(depth):
    with pytest.raises(InvalidValue, match=r"6n \+ 2 weighted layers.*Received: depth="):
        cifar10(depth)


def test_the_nearest_depths_are_named():
    with pytest.raises(InvalidValue, match=r"Received: depth=21. Nearest: 20, 26."):
        cifar10(21)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: cifar10(20, "D"),
        lambda: imagenet(19),
        lambda: imagenet(50, stride_in="5x5"),
        lambda: cifar10(20, num_classes=1),
        lambda: cifar10(20, image_size=3),
    ],
)
def test_what_the_paper_does_not_have_is_refused_in_one_line(wrong):
    with pytest.raises(ValueError, match="Received: ") as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_recipe_of_section_4_2():
    rates = {0: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 0.001, 63_999: 0.001}
    for iteration, rate in rates.items():
        assert CIFAR10.learning_rate_of(Period(iteration, iteration + 1), ()) == pytest.approx(rate)
    assert (CIFAR10.iterations, CIFAR10.batch_size, CIFAR10.momentum) == (64_000, 128, 0.9)
    assert CIFAR10.weight_decay == 1e-4
    assert CIFAR10.augmentation == PaddedCrop(4, flip=True)
    assert cifar10_recipe(56).warmup is None
    warmup = cifar10_recipe(110).warmup
    assert (warmup.learning_rate, warmup.until_train_error) == (0.01, 80)


@pytest.mark.parametrize("iterations", [1, 2, 3, 10, 600, 4_000, 4_001, 64_000])
def test_a_shortened_schedule_keeps_its_shares(iterations):
    recipe = CIFAR10.rescaled(iterations)
    periods = list(recipe.periods())
    assert periods[0].start == 0
    assert periods[-1].stop == iterations
    assert all(before.stop == after.start for before, after in pairwise(periods))
    for period in periods:
        falls = sum(period.start >= boundary for boundary in recipe.schedule.boundaries)
        assert falls == sum(period.stop - 1 >= boundary for boundary in recipe.schedule.boundaries)
        assert recipe.learning_rate_of(period, ()) == pytest.approx(0.1 / 10**falls)
    if iterations >= 100:  # an error is never that of only a few batches
        assert min(period.stop - period.start for period in periods) >= recipe.evaluate_every / 2
    for boundary, share in zip(recipe.schedule.boundaries, (1 / 2, 3 / 4), strict=True):
        assert boundary == pytest.approx(iterations * share, abs=0.5)


def test_weights_start_as_he_2015_untruncated():
    """std sqrt(2 / fan_in); a truncated normal has no value beyond two of its standard deviations."""
    kernel = build(cifar10(20)).get_layer("conv4_block2_1_conv").get_weights()[0]
    std = np.sqrt(2 / (3 * 3 * 64))
    assert kernel.std() == pytest.approx(std, rel=0.02)
    assert (np.abs(kernel) > 2.5 * std).mean() == pytest.approx(0.0124, abs=0.004)  # of a normal: 2 (1 - Phi(2.5))


@pytest.mark.parametrize("fan", ["fan_in", "fan_out"])
def test_either_fan_of_he_2015(fan):
    """Eqns. (10) and (14) differ where the width changes: 3 x 3 numbers for each of 16 channels in, or of 32 out."""
    kernel = build(cifar10(20), fan=fan).get_layer("conv3_block1_1_conv").get_weights()[0]
    assert kernel.shape == (3, 3, 16, 32)
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * {"fan_in": 16, "fan_out": 32}[fan])), rel=0.04)


def test_no_other_fan():
    with pytest.raises(InvalidValue, match=r"^A fan is one of 'fan_in', 'fan_out'\. Received: fan='fan_avg'\.$"):
        build(cifar10(8), fan="fan_avg")
    with pytest.raises(InvalidValue, match=r"^A fan is one of 'fan_in', 'fan_out'\. Received: fan='fan_avg'\.$"):
        replace(CIFAR10, fan="fan_avg")


def test_plain_and_residual_nets_start_from_the_same_weights():
    plain, residual = build(cifar10(20, None), seed=3), build(cifar10(20, "B"), seed=3)
    for layer in plain.layers:
        for mine, other in zip(layer.get_weights(), residual.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)


def test_weight_decay_adds_decay_times_w_to_the_gradient():
    """The penalty is half the decay times the sum of squares of all trained numbers."""
    decay = 0.01
    model = build(cifar10(8), weight_decay=decay)
    squares = sum(np.square(weight, dtype=np.float64).sum() for weight in map(np.array, _trained(model)))
    penalty = sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)
    assert penalty == pytest.approx(decay / 2 * squares, rel=1e-5)


def _trained(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]


def test_batch_normalisation_states_momentum_and_epsilon():
    layers = [layer for layer in build(cifar10(8)).layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(layers) == 7
    assert {(layer.momentum, layer.epsilon) for layer in layers} == {(0.9, 1e-5)}


def test_the_per_pixel_mean_is_subtracted_and_nothing_else():
    images = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3)).astype(np.uint8)
    model = build(cifar10(8))
    subtract_mean(model, images.mean(axis=0))
    centred = keras.Model(model.input, model.get_layer("mean").output).predict(images[:5], verbose=0)
    np.testing.assert_allclose(centred, images[:5] - images.mean(axis=0), atol=1e-4)


def test_an_imagenet_net_subtracts_the_mean_of_each_channel():
    images = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3)).astype(np.uint8)
    model = build(imagenet(18, num_classes=5, image_size=64))
    subtract_mean(model, images.mean(axis=0))
    centred = keras.Model(model.input, model.get_layer("mean").output).predict(images[:5], verbose=0)
    np.testing.assert_allclose(centred, images[:5] - images.mean(axis=(0, 1, 2)), atol=1e-4)
