"""The comparison systems against their papers' tables, against the graphs that the package `onnx` ships, and errors."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import keras
import pytest
from baseline_nets import SMALL

from resnet_keras import InvalidValue, bn_inception, build, cifar10, googlenet, imagenet, prelu_net, vgg
from resnet_keras.spec.architecture import Stage, Stem
from resnet_keras.spec.kinds import network_from_dict

PARAMETERS = {
    "VGG-16": (vgg(16), 138_357_544),
    "VGG-19": (vgg(19), 143_667_240),
    "GoogLeNet": (googlenet(), 6_998_552),
    "GoogLeNet with heads": (googlenet(auxiliary=True), 13_378_280),
    "PReLU-net A": (prelu_net("A"), 178_017_384 + 14_688),
    "PReLU-net B": (prelu_net("B"), 183_327_080 + 15_968),
    "PReLU-net C": (prelu_net("C"), 330_603_368 + 20_576),
    "BN-Inception": (bn_inception(), 11_194_984),
    "BN-Inception, 128": (bn_inception(projection=128), 11_285_224),
}
MULTIPLY_ADDS = {
    "VGG-16": 15.470e9,
    "VGG-19": 19.632e9,
    "GoogLeNet": 1.583e9,
    "GoogLeNet with heads": 1.583e9 + 8.4e6,
    "PReLU-net A": 1.906e10,
    "PReLU-net B": 2.322e10,
    "PReLU-net C": 5.346e10,
    "BN-Inception": 2.019e9,
    "BN-Inception, 128": 2.033e9,
}
DEPTHS = {"VGG-16": 16, "VGG-19": 19, "GoogLeNet": 22, "PReLU-net A": 19, "PReLU-net B": 22, "PReLU-net C": 22}


@pytest.mark.any_backend
@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_and_multiply_adds(name):
    net, parameters = PARAMETERS[name]
    assert net.parameters == parameters
    assert net.multiply_adds == pytest.approx(MULTIPLY_ADDS[name], rel=4e-4)


@pytest.mark.any_backend
@pytest.mark.parametrize("name", DEPTHS)
def test_depths_and_names(name):
    net, _ = PARAMETERS[name]
    assert (net.depth, net.name) == (DEPTHS[name], name)


@pytest.mark.any_backend
def test_slopes_of_prelu_net():
    assert [prelu_net(model).slopes for model in "ABC"] == [14_688, 15_968, 20_576]


@pytest.mark.any_backend
def test_channels_of_the_inception_modules():
    """As in Table 1 of GoogLeNet and Figure 5 of BN-Inception; with projections of 128, as in ports of it."""

    def channels(net):
        return [layer.filters for layer in net.layers() if layer.name.startswith("inception")]

    assert channels(googlenet()) == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    assert channels(bn_inception()) == [256, 320, 576, 576, 576, 576, 576, 1024, 1024, 1024]
    assert channels(bn_inception(projection=128)) == [256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024]


@pytest.mark.any_backend
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_description_becomes_the_net_again(name):
    net, _ = PARAMETERS[name]
    written = json.loads(json.dumps(net.to_dict()))
    assert network_from_dict(written) == net
    for change in ({"parameters": net.parameters + 1}, {"image_size": 0}, {"more": 1}, {"kind": "resnet"}):
        with pytest.raises(InvalidValue):
            network_from_dict(written | change)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "wrong",
    [
        lambda: vgg(11),
        lambda: vgg(16, 1),
        lambda: vgg(16, image_size=31),
        lambda: googlenet(num_classes=1),
        lambda: googlenet(True, image_size=79),
        lambda: googlenet(image_size=31),
        lambda: replace(googlenet(), stem=(64, 64)),
        lambda: replace(googlenet(), rows=googlenet().rows[:5]),
        lambda: prelu_net("D"),
        lambda: prelu_net("A", image_size=96),
        lambda: prelu_net("A", image_size=160),
        lambda: bn_inception(projection=112),
        lambda: bn_inception(image_size=8),
        lambda: replace(bn_inception(), rows=bn_inception().rows[:9]),
    ],
)
def test_what_is_no_comparison_system_is_refused_in_one_line(wrong):
    with pytest.raises(InvalidValue, match="Received: ") as caught:
        wrong()
    assert "\n" not in str(caught.value)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "made", [imagenet(18), vgg(16), googlenet(), prelu_net("A"), bn_inception()], ids=lambda one: one.name
)
@pytest.mark.parametrize("too_large", [{"image_size": 2**64}, {"num_classes": 200_000}], ids=["image", "classes"])
def test_no_net_is_made_that_load_would_refuse(made, too_large):
    with pytest.raises(InvalidValue, match="Maximum: "):
        replace(made, **too_large)


VARIANTS = [
    (cifar10(20), {"unit": "bottelneck"}),
    (cifar10(20), {"mean": "pixels"}),
    (cifar10(20), {"stages": ()}),
    (cifar10(20), {"stages": list(cifar10(20).stages)}),
    (cifar10(20), {"stages": (Stage(16, 0, 1),)}),
    (cifar10(20), {"stages": (Stage(6_000, 3, 1),)}),
    (imagenet(50), {"stem": Stem(5_000, 7, 2, pool=True)}),
    (vgg(16), {"mean": "image"}),
    (vgg(16), {"stages": ()}),
    (prelu_net("A"), {"pyramid": ()}),
    (googlenet(), {"mean": None}),
    (bn_inception(), {"mean": "pixels"}),
]


@pytest.mark.any_backend
@pytest.mark.parametrize(("made", "changed"), VARIANTS, ids=lambda one: getattr(one, "name", None) or next(iter(one)))
def test_no_variant_is_made_that_load_would_refuse(made, changed):
    """A misspelt field would otherwise give another net: "bottelneck" a bottleneck, "pixels" the mean of a channel."""
    with pytest.raises(InvalidValue, match="Received: ") as caught:
        replace(made, **changed)
    assert "\n" not in str(caught.value)


# Others' graphs. A layer's signature is made of what it does and the signatures of its inputs, so two graphs are equal
# if their last signatures are. Weights and padding are not compared.


def signature(*parts):
    return sha256(repr(parts).encode()).hexdigest()


def onnx_signature(name):
    onnx = pytest.importorskip("onnx")
    light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"light_{name}.onnx"
    if not light.exists():
        pytest.skip(f"this onnx has no {light.name}")
    graph = onnx.load(light).graph
    shapes = {one.name: tuple(size.dim_value for size in one.type.tensor_type.shape.dim) for one in graph.input}
    constants = {one.name: tuple(onnx.numpy_helper.to_array(one).tolist()) for one in graph.initializer}
    made = {"data_0": "image", "gpu_0/data_0": "image"}
    for node in graph.node:
        given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        inputs = [made.get(tensor) for tensor in node.input]
        match node.op_type:
            case "ConstantOfShape":
                shapes[node.output[0]] = constants[node.input[0]]
                continue
            case "Conv":
                filters, channels, *kernel = shapes[node.input[1]]
                strides = given.get("strides", [1, 1])
                result = signature("Conv", channels, filters, *kernel, strides[0], inputs[0])
            case "MaxPool" | "AveragePool" if given["kernel_shape"] != [7, 7]:
                result = signature(node.op_type, given["kernel_shape"][0], given.get("strides", [1])[0], inputs[0])
            case "Concat":
                result = signature("Concat", *inputs)
            case "Sum":
                result = signature("Sum", *sorted(inputs))
            case "LRN":
                assert (given["size"], given["alpha"], given["beta"], given["bias"]) == (
                    5,
                    pytest.approx(1e-4),
                    0.75,
                    1.0,
                )
                result = signature("LRN", inputs[0])
            case "Gemm":
                if node.input[1] in shapes:
                    assert shapes[node.input[1]][0] == shapes[node.input[2]][0]
                result = signature("Dense", *shapes[node.input[2]], inputs[0])
            case _:  # batch normalisation, its scale and shift, ReLU, dropout, softmax, reshapes, the last average
                result = inputs[0]
        made[node.output[0]] = result
    return made[graph.output[0].name]


def keras_signature(model):
    made = {id(model.inputs[0]): "image"}
    for operation in model.operations[1:]:
        (node,) = operation._inbound_nodes
        inputs = [made[id(tensor)] for tensor in node.input_tensors]
        match operation:
            case keras.layers.Conv2D():
                height, width, channels, filters = operation.kernel.shape
                result = signature("Conv", channels, filters, height, width, operation.strides[0], inputs[0])
            case keras.layers.MaxPooling2D() | keras.layers.AveragePooling2D() if "norm" not in operation.name:
                kind = "MaxPool" if isinstance(operation, keras.layers.MaxPooling2D) else "AveragePool"
                result = signature(kind, operation.pool_size[0], operation.strides[0], inputs[0])
            case keras.layers.Concatenate():
                result = signature("Concat", *inputs)
            case keras.layers.Add():
                result = signature("Sum", *sorted(inputs))
            case keras.layers.Multiply() if operation.name in ("norm1", "norm2"):
                result = signature("LRN", inputs[0])
            case keras.layers.Dense():
                result = signature("Dense", operation.units, inputs[0])
            case _:
                result = inputs[0]
        made[id(operation.output)] = result
    return made[id(model.outputs[0])]


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "net"),
    [
        ("inception_v1", googlenet()),
        ("inception_v2", bn_inception()),
        ("resnet50", imagenet(50, stride_in="3x3")),  # Caffe2's
        pytest.param("vgg19", vgg(19), marks=pytest.mark.slow),  # 575 MB
    ],
)
def test_the_graph_is_that_of_onnx(name, net):
    assert keras_signature(build(net)) == onnx_signature(name)


@pytest.mark.any_backend
def test_the_other_reading_of_bn_inception_is_another_graph():
    small, other = SMALL["BN-Inception"], list(SMALL["BN-Inception"].rows)
    other[5] = replace(other[5], pool_projection=3)
    assert keras_signature(build(small)) != keras_signature(build(replace(small, rows=tuple(other))))
