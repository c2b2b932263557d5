"""Gradients against PyTorch's autograd, finite differences and calculation by hand."""

import keras
import numpy as np
import pytest
import torch_net
from conftest import small_data_
from small_nets import data, martyn, net

from resnet_keras import Architecture, InvalidValue, build, cifar10
from resnet_keras.analysis import nets
from resnet_keras.analysis.gradients import gradients
from resnet_keras.analysis.images import Images
from resnet_keras.analysis.nets import INITIAL, Net
from resnet_keras.data.small import sources
from resnet_keras.plotting.gradients import gradients_figure
from resnet_keras.spec.architecture import Stage, Stem
from resnet_keras.spec.measurements import Gradients, Subject, UnitGradient, gradients_csv


def agrees(found, expected):
    units, kernels = expected
    assert list(found.units) == list(units)
    for name, (norm, share) in units.items():
        assert found.units[name].norm == pytest.approx(norm, rel=1e-3)
        assert found.units[name].shortcut_share == (None if share is None else pytest.approx(share, rel=1e-3))
    assert found.kernels == pytest.approx(kernels, rel=1e-3)


def in_torch(one, units_each, x, y, batches, **options):
    other, mean = torch_net.like(one.model, units_each, one.architecture.shortcut, **options)
    torch = torch_net.torch
    parts = [torch_net.tensor(part, mean) for part in np.array_split(x, batches)]
    return torch_net.gradients(other, parts, [torch.from_numpy(part).long() for part in np.array_split(y, batches)])


@pytest.mark.parametrize("shortcut", [None, "A", "B"])
def test_norms_and_shares_are_those_of_pytorch(shortcut):
    one = net(14, shortcut)
    x, y = data(20)
    before = [weight.copy() for weight in one.model.get_weights()]
    found = gradients(one, zip(np.array_split(x, 2), np.array_split(y, 2), strict=True), most=10)
    agrees(found, in_torch(one, 2, x, y, 2))
    for weight, old in zip(one.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)  # the moving statistics too


@pytest.mark.parametrize("shortcut", [None, "A"])
def test_a_net_without_batch_norm_is_that_of_pytorch_without(shortcut):
    architecture = cifar10(14, shortcut, 4, image_size=16)
    one = nets.initial(architecture, "initial, no batch norm", seed=1)
    assert not [layer for layer in one.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    x, y = data()
    agrees(gradients(one, [(x, y)]), in_torch(one, 2, x, y, 1, batch_norm=False))


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "units_each"), [("resnet20", 3), ("plainnet20", 3)])
def test_gradients_of_a_trained_net_are_those_of_pytorch(name, units_each):
    one = martyn(name)
    images = sources.load()
    x, y = images.x_train[:64], images.y_train[:64]
    agrees(gradients(one, [(x, y)]), in_torch(one, units_each, x, y, 1))


def test_kernel_norm_is_that_of_finite_differences():
    tiny = Architecture(
        stem=Stem(2, 3, 1, False),
        stages=(Stage(2, 1, 1), Stage(4, 1, 2)),
        unit="basic",
        shortcut="A",
        num_classes=3,
        image_size=4,
        stride_in="3x3",
        mean="pixel",
    )
    one = net(architecture=tiny)
    x, y = data(6, 4, 3)
    found = gradients(one, [(x, y)]).kernels
    copy = nets.rewired(one.model)

    def loss():
        p = keras.ops.convert_to_numpy(copy(x, training=True)).astype(np.float64)
        return -np.log(p[np.arange(len(y)), y]).mean()

    kernel = copy.get_layer("conv2_block1_2_conv").kernel
    at = np.array(keras.ops.convert_to_numpy(kernel))
    differences = []
    for place in np.ndindex(at.shape):
        sides = []
        for step in (2e-3, -2e-3):
            moved = at.copy()
            moved[place] += step
            kernel.assign(moved)
            sides.append(loss())
        differences.append((sides[0] - sides[1]) / 4e-3)
    assert found["conv2_block1_2"] == pytest.approx(np.linalg.norm(differences), rel=0.02)


def test_last_unit_by_hand():
    """Its output goes through a mean over positions and one dense layer: dL/dy = W (p - e) / positions."""
    one = net(8)
    x, y = data()
    found = gradients(one, [(x, y)])
    p = keras.ops.convert_to_numpy(nets.rewired(one.model)(x, training=True))
    kernel, _ = one.model.get_layer("predictions").get_weights()
    wrong = p - np.eye(4)[y]
    norm = np.sqrt(np.square(wrong @ kernel.T).sum(axis=1).mean() / (4 * 4))
    assert found.units["conv4_block1"].norm == pytest.approx(norm, rel=1e-3)


def test_with_residuals_of_zero_all_gradient_comes_through_the_shortcut():
    one = net(14, zero_gamma=True)
    units = gradients(one, [data()]).units
    assert [unit.shortcut_share for unit in units.values()] == pytest.approx([1.0] * 6, rel=1e-5)
    # Within a stage each unit is then relu(x) of an x from a ReLU: its derivative is 1 where x > 0, and 0 where x = 0.
    assert units["conv3_block1"].norm <= units["conv3_block2"].norm * 1.001


@pytest.mark.any_backend
def test_a_net_of_which_nothing_is_known_is_refused_and_so_are_no_images():
    one = net(8)
    with pytest.raises(InvalidValue, match="another's file"):
        gradients(Net(one.subject, one.model, None, INITIAL), [data()])
    with pytest.raises(InvalidValue, match="conv2_block2_out"):
        gradients(Net(one.subject, one.model, cifar10(14, "A", 4, image_size=16), INITIAL), [data()])
    with pytest.raises(InvalidValue, match="none"):
        gradients(one, [])
    with pytest.raises(InvalidValue, match="same classes"):
        Images(small_data_(), "train", None).batches(8, 10, 4)


@pytest.mark.any_backend
def test_batches_are_of_one_length_and_spread_over_the_part():
    batches = Images(small_data_(), "train", 10).batches(8, 3, 4)
    assert [len(places) for places in batches.places] == [4, 3, 3]
    assert batches.images == 10
    x, y = next(iter(batches))
    np.testing.assert_array_equal(x, small_data_().x_train[[0, 5, 10, 16]])
    np.testing.assert_array_equal(y, small_data_().y_train[[0, 5, 10, 16]])


@pytest.mark.any_backend
def test_the_share_of_a_plain_net_is_blank_and_its_panel_left_out():
    plain = Gradients(Subject("plain-8", 8, False), "trained", {"a": UnitGradient(1.0, None)}, {"k": 1.0})
    residual = Gradients(Subject("ResNet-8", 8, True), "trained", {"a": UnitGradient(2.0, 0.5)}, {"k": 1.0})
    text = gradients_csv([plain, residual])
    assert text == "net,unit,gradient_norm,shortcut_share\nplain-8,a,1,\nResNet-8,a,2,0.5\n"
    assert len(gradients_figure([plain], data="x").axes) == 1
    norms, shares = gradients_figure([plain, residual], data="x").axes
    assert [list(line.get_ydata()) for line in norms.lines] == [[1.0], [2.0]]
    assert list(shares.lines[0].get_ydata()) == [0.5]


@pytest.mark.any_backend
def test_initial_nets_are_those_that_training_starts_from():
    architecture = cifar10(8, None, 4, image_size=16)
    expected = build(architecture, seed=3).get_layer("conv3_block1_2_conv").get_weights()[0]
    for state in ("initial", "initial, no batch norm"):
        found = nets.initial(architecture, state, seed=3)
        assert found.subject.name == f"plain-8 ({state})"
        np.testing.assert_array_equal(found.model.get_layer("conv3_block1_2_conv").get_weights()[0], expected)
