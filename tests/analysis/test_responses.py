"""Figure 7's numbers against a PyTorch net with hooks and calculation by hand."""

import csv

import keras
import numpy as np
import pytest
import torch_net
from conftest import run_python, small_arrays
from small_nets import data, martyn, net

from resnet_keras import InvalidValue, build, cifar10, imagenet
from resnet_keras.analysis.nets import INITIAL, Net, read, told_apart
from resnet_keras.analysis.responses import responses
from resnet_keras.data.small import sources
from resnet_keras.nets import residual
from resnet_keras.plotting.responses import figure_7
from resnet_keras.spec.measurements import Responses, Subject, responses_csv
from resnet_keras.weights import archive


@pytest.mark.parametrize("shortcut", [None, "A", "B"])
def test_stds_are_those_of_an_independent_pytorch_net(shortcut):
    one = net(8, shortcut)
    x, _ = data()
    expected = torch_net.response_stds(
        (other := torch_net.like(one.model, 1, shortcut))[0], torch_net.tensor(x, other[1])
    )
    found = responses(one, [x[:5], x[5:]]).std
    assert list(found) == ["conv1", *(f"conv{stage}_block1_{i}" for stage in (2, 3, 4) for i in (1, 2))]
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-3)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "shortcut"), [("plainnet20", None), ("resnet20", "A")])
def test_stds_of_a_trained_net_are_those_of_pytorch(name, shortcut):
    one = martyn(name)
    x = sources.load().x_test[:256]
    other, mean = torch_net.like(one.model, 3, shortcut)
    expected = torch_net.response_stds(other, torch_net.tensor(x, mean))
    assert responses(one, np.split(x, 2)).std == pytest.approx(expected, rel=1e-3)


def test_a_layer_that_doubles_its_image_has_twice_the_std_of_the_pixels():
    image = keras.Input((8, 8, 1))
    convolved = keras.layers.Conv2D(1, 3, padding="same", use_bias=False, name="mine_conv")(image)
    normalised = keras.layers.BatchNormalization(epsilon=0.0, name="mine_bn")(convolved)
    other = keras.layers.Conv2D(2, 3, name="followed_by_relu")(keras.layers.ReLU()(normalised))
    model = keras.Model(image, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(other)))
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1.0
    model.get_layer("mine_conv").set_weights([kernel])
    model.get_layer("mine_bn").set_weights([np.array([value]) for value in (2.0, 7.0, 3.0, 1.0)])
    x = np.random.default_rng(0).uniform(0, 255, (30, 8, 8, 1)).astype(np.float32)
    found = responses(Net(Subject("mine", 2, False), model, None, INITIAL), [x[:7], x[7:]]).std
    assert found == pytest.approx({"mine": 2 * x.astype(np.float64).std()}, rel=1e-5)


@pytest.mark.any_backend
def test_a_bottleneck_unit_has_one_3x3_layer():
    architecture = imagenet(50, num_classes=3, image_size=32)
    fifty = Net(Subject("ResNet-50", 50, True), build(architecture), architecture, INITIAL)
    found = responses(fifty, [data(2, 32)[0]]).std
    assert list(found) == [f"conv{s}_block{k}_2" for s, n in ((2, 3), (3, 4), (4, 6), (5, 3)) for k in range(1, n + 1)]


@pytest.mark.any_backend
def test_nested_nets_have_the_responses_of_flat_ones(monkeypatch):
    flat = net(14)
    monkeypatch.setattr(residual, "FLAT_DEPTH", 8)
    monkeypatch.setattr(residual, "UNITS_PER_GROUP", 4)
    nested = build(flat.architecture, seed=1)
    assert any(isinstance(layer, keras.Model) for layer in nested.layers)
    weights = {weight.path: weight for weight in flat.model.weights}
    for weight in nested.weights:
        weight.assign(weights["/".join(weight.path.split("/")[-2:])])
    x, _ = data()
    assert responses(Net(flat.subject, nested, None, INITIAL), [x]).std == pytest.approx(
        responses(flat, [x]).std, rel=1e-5
    )


@pytest.mark.any_backend
def test_sequential_nets_have_the_responses_of_the_same_layers_in_a_graph():
    x, _ = data(6, 8)
    layers = [
        keras.layers.Conv2D(4, 3, name="a_conv"),
        keras.layers.BatchNormalization(name="a_bn"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    straight = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), *layers])
    image = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), straight.layers[0]])
    output = inner(image)
    for layer in layers:
        output = layer(output)
    subject = Subject("bare", 2, False)
    found, same = (
        responses(Net(subject, model, None, INITIAL), [x]).std for model in (straight, keras.Model(image, output))
    )
    expected = np.asarray(keras.ops.convert_to_numpy(layers[0](x.astype("float32") / 255))).std() / np.sqrt(1 + 1e-3)
    assert found == pytest.approx({"a": expected}, rel=1e-4)
    assert same == pytest.approx(found, rel=1e-5)


@pytest.mark.any_backend
def test_nets_without_such_layers_and_no_images_are_refused():
    image = keras.Input((8, 8, 3))
    dense = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(image))
    bare = Net(Subject("bare", 1, False), keras.Model(image, dense), None, INITIAL)
    with pytest.raises(InvalidValue, match="without any"):
        responses(bare, [data(2, 8)[0]])
    with pytest.raises(InvalidValue, match="none"):
        responses(net(), [])


@pytest.mark.any_backend
def test_nets_of_one_name_are_told_apart_by_where_they_lie(tmp_path):
    paths = [tmp_path / "a" / "model.keras", tmp_path / "b" / "model.keras", tmp_path / "c.keras"]
    assert told_apart(["ResNet-8", "ResNet-8", "plain-8"], paths) == [
        "ResNet-8 (a/model)",
        "ResNet-8 (b/model)",
        "plain-8",
    ]
    with pytest.raises(InvalidValue, match="given once"):
        read([tmp_path / "a", tmp_path / "b" / ".." / "a"])


@pytest.mark.any_backend
def test_top_panel_is_in_order_and_bottom_panel_sorted():
    measured = [Responses(Subject(r"plain-8 $\x$", 8, False), {"conv1": 1.0, "b": 3.0, "c": 2.0})]
    figure = figure_7(measured, data="CIFAR-10")
    top, bottom = figure.axes
    np.testing.assert_array_equal(top.lines[0].get_ydata(), [1, 3, 2])
    np.testing.assert_array_equal(bottom.lines[0].get_ydata(), [3, 2, 1])
    assert top.lines[0].is_dashed()
    figure.draw_without_rendering()  # a name is not read as mathematics
    assert responses_csv([Responses(Subject("ResNet-8", 8, True), {"conv1": 1.0, "b": 1 / 3})]).splitlines() == [
        "net,layer,std",
        "ResNet-8,conv1,1",
        "ResNet-8,b,0.3333333",
    ]


@pytest.mark.any_backend
def test_figures_py_writes_rows_and_both_pictures_of_two_nets_of_one_name(tmp_path):
    architecture = cifar10(8, None, 3, image_size=8)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        build(architecture, seed=ord(folder)).save(tmp_path / folder / "model.keras")
        archive.add_network(tmp_path / folder / "model.keras", architecture.to_dict())
    np.savez(tmp_path / "small.npz", **small_arrays())
    arguments = ["recipes/figures.py", *(str(tmp_path / folder / "model.keras") for folder in ("a", "b"))]
    arguments += ["--data-dir", str(tmp_path / "small.npz"), "--limit", "10", "--figure", "7", "--out"]
    done = run_python(*arguments, str(tmp_path / "f-0.1.png"))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.glob("f*")) == ["f-0.1.csv", "f-0.1.png", "f-0.1.svg"]
    rows = list(csv.reader((tmp_path / "f-0.1.csv").open()))
    assert rows[0] == ["net", "layer", "std"]
    assert len(rows) == 1 + 2 * 7
    assert {row[0] for row in rows[1:]} == {"plain-8 (a/model)", "plain-8 (b/model)"}


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["absent.keras", "--figure", "7"], 4, "absent.keras"),
        (["--figure", "7"], 2, "none"),
        (["x.keras", "--figure", "7", "--initial", "20"], 2, "--initial"),
        (["x.keras", "--figure", "surface", "--points", "4"], 2, "odd"),
        (["--figure", "gradients", "--initial", "21"], 2, "6n + 2"),
    ],
)
def test_figures_py_says_in_one_line_what_is_wrong(arguments, code, says, tmp_path):
    np.savez(tmp_path / "small.npz", **small_arrays())
    done = run_python("recipes/figures.py", *arguments, "--data-dir", str(tmp_path / "small.npz"))
    *before, line = done.stderr.strip().splitlines()
    assert done.returncode == code, done.stderr
    assert all(one.startswith("starting ") for one in before), done.stderr
    assert says in line


@pytest.mark.any_backend
def test_all_without_a_trained_net_says_what_is_not_drawn(tmp_path):
    np.savez(tmp_path / "small.npz", **small_arrays(size=32))
    out = tmp_path / "figures"
    done = run_python(
        *("recipes/figures.py", "--all", "--initial", "8", "--limit", "6", "--out", str(out)),
        *("--data-dir", str(tmp_path / "small.npz")),
    )
    assert done.returncode == 0, done.stderr
    for name in ("7", "surface"):
        assert f"{name} was not drawn: A figure of nets needs one that takes the images. Received: none." in done.stderr
    assert not list(out.glob("*7*"))
