"""Nets as Caffe saves them, written by Google's protobuf and computed in PyTorch, against what `convert` makes."""

import json
import struct

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("google.protobuf")

from caffe_nets import MESSAGES, CaffeNet, binaryproto, caffemodel  # noqa: E402

from resnet_keras import InvalidValue, imagenet, load  # noqa: E402
from resnet_keras.spec.architecture import Architecture, Stage, Stem  # noqa: E402
from resnet_keras.weights.convert import caffe, caffe_file, parity, tensors  # noqa: E402
from resnet_keras.weights.convert.build_from import build_from  # noqa: E402
from resnet_keras.weights.convert.convert import convert, recognise  # noqa: E402

SIZE, CLASSES = 45, 5
SMALL = Architecture(
    Stem(8, 7, 2, True), (Stage(4, 3, 1), Stage(8, 3, 2)), "bottleneck", "B", CLASSES, SIZE, "1x1", "channel"
)
IMAGES = np.random.default_rng(1).integers(0, 256, (4, SIZE, SIZE, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def small():
    net = CaffeNet([(4, 3, False), (8, 3, True)], 8, CLASSES, bias=True)
    net.logits(IMAGES, settle=True)
    return net


def write_npz(path, blobs):
    with path.open("wb") as file:
        np.savez(file, **blobs)


def write_hdf5(path, blobs):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in blobs.items():
            file[f"data/{name}"] = array


KINDS = {
    "caffemodel": lambda path, blobs: path.write_bytes(caffemodel(blobs)),
    "old layers": lambda path, blobs: path.write_bytes(caffemodel(blobs, v1=True)),
    "old shapes": lambda path, blobs: path.write_bytes(caffemodel(blobs, old_shape=True)),
    "double": lambda path, blobs: path.write_bytes(caffemodel(blobs, double=True)),
    "npz": write_npz,
    "caffemodel.h5": write_hdf5,
}


@pytest.mark.any_backend
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_holds_the_same_blobs(tmp_path, small, kind):
    KINDS[kind](tmp_path / "net", small.blobs)
    found = tensors.read(tmp_path / "net").arrays
    assert found.keys() == small.blobs.keys()
    for name, array in small.blobs.items():
        np.testing.assert_array_equal(found[name].squeeze(), array.squeeze())


MEANS = {
    "none": (None, caffe.MEAN_BGR),
    "for each channel": (np.array([90.0, 100, 110])[:, None, None], (90, 100, 110)),
    "for each pixel": (np.random.default_rng(2).uniform(0, 255, (3, SIZE, SIZE)), None),
    "of another size": (np.stack([np.linspace(0, top, 81).reshape(9, 9) for top in (200, 220, 240)]), (100, 110, 120)),
}


@pytest.mark.parametrize("case", MEANS)
def test_raw_pixels_give_the_nets_logits(tmp_path, small, case):
    image, mean = MEANS[case]
    if image is not None:
        (tmp_path / "mean.binaryproto").write_bytes(binaryproto(image))
    read = None if image is None else caffe.read_mean(tmp_path / "mean.binaryproto")
    source = caffe.of(SMALL, small.blobs, read)
    assert ("pixel" if mean is None else "channel") == source.architecture.mean
    told = json.loads(json.dumps(source.pixels.to_dict()))
    np.testing.assert_allclose(told["mean"], image.mean((1, 2)) if mean is None else mean, rtol=1e-5)
    model = build_from(source)
    logits = keras.Model(model.input, model.get_layer("predictions").output).predict(IMAGES, verbose=0)
    expected = small.logits(IMAGES, image.transpose(1, 2, 0) if mean is None else mean)
    assert np.ptp(expected, axis=0).max() > 0.1  # outputs differ between images
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    found = parity.compare(model, source, IMAGES)
    assert found.largest_logit_difference < 1e-4
    assert found.equal_top1 == 1


BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def released(depth, make=CaffeNet):
    stages = [(64 << n, units, depth > 50 and n in (1, 2)) for n, units in enumerate(BLOCKS[depth])]
    return make(stages, 64, 7, bias=depth == 50)


class Ones(CaffeNet):
    """Its kernels are all views of a single number."""

    def _normal(self, shape, deviation):
        return np.broadcast_to(np.float32(1), shape)


@pytest.mark.any_backend
@pytest.mark.parametrize("depth", BLOCKS)
def test_names_and_shapes_tell_which_net_it_is(depth):
    source = recognise(tensors.Tensors(released(depth, Ones).blobs, "Caffe", ""))
    net = source.architecture
    assert (net.name, net.num_classes, net.stride_in, net.mean) == (f"ResNet-{depth}", 7, "1x1", "channel")
    assert net.stem.pool_padding == "end"
    assert net.parameters == imagenet(depth, num_classes=7).parameters
    assert list(source.layers) == [convolution.name for convolution in net.convolutions()]


@pytest.mark.slow
@pytest.mark.parametrize("depth", BLOCKS)
def test_the_released_nets(tmp_path, depth):
    net = released(depth)
    images = np.random.default_rng(3).integers(0, 256, (3, 224, 224, 3)).astype(np.uint8)
    net.logits(images, settle=True)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(net.blobs))
    report = convert(tmp_path / "net.caffemodel", tmp_path / "net.keras", architecture=f"ResNet-{depth}", images=images)
    assert report.parity.largest_logit_difference < 1e-3
    assert any("mean taken: 103.06, 115.90, 123.15" in note for note in report.notes)
    exponents = np.exp(net.logits(images))
    expected = exponents / exponents.sum(axis=1, keepdims=True)
    assert np.ptp(expected, axis=0).max() > 1e-2  # outputs differ between images
    for model in (keras.models.load_model(tmp_path / "net.keras"), load(tmp_path / "net.keras")):
        np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-4)
    assert load(tmp_path / "net.keras").network == report.architecture


def named(units=(3, 4, 6, 3), bias=True):
    """Blobs of a number or two each, under the names of a released net: enough to tell which net it is."""
    net = CaffeNet([(1, count, False) for count in units], 1, 2, bias)
    return {name: array.ravel()[:1] for name, array in net.blobs.items()} | {"fc1000/1": np.ones(2)}


def alexnet():
    names = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    return {f"{name}/{part}": np.ones(3, np.float32) for name in names for part in (0, 1)}


def without(*names):
    return lambda: {name: array for name, array in named().items() if name not in names}


def changed(**blobs):
    return lambda: named() | {name.replace("__", "/"): value for name, value in blobs.items()}


KERNEL = {"conv1__0": np.ones((64, 3, 7, 7)), "conv1__1": np.ones(64)}
WRONG_NETS = {
    "AlexNet": (alexnet, "16 tensors that fit none of these: conv1/0"),
    "missing kernel": (without("res3b_branch2b/0"), "ResNet-50 from .*Missing: res3b_branch2b/0"),
    "missing scale": (
        without("scale2a_branch1/0", "scale2a_branch1/1"),
        "Missing: scale2a_branch1/0, scale2a_branch1/1",
    ),
    "missing unit": (without("res3b_branch2a/0"), "Received: 3, 1, 6, 3 units"),
    "other units": (lambda: named((2, 2, 2, 2)), "Received: 2, 2, 2, 2 units"),
    "no dense layer": (without("fc1000/0", "fc1000/1"), "fc1000/1. Received: none"),
    "extra": (changed(extra__0=np.ones(3)), "Received also: extra/0"),
    "another kernel": (changed(conv1__0=np.ones((64, 3, 5, 5))), r"has conv1/0 of shape \(64, 3, 7, 7\)"),
    "another bias": (changed(**KERNEL | {"conv1__1": np.ones(63)}), r"conv1/1 of shape \(64,\). Received: \(63,\)"),
    "NaN": (changed(bn_conv1__0=np.full(64, np.nan)), "'bn_conv1/0' holds numbers that are not finite"),
    "inf": (changed(scale_conv1__1=np.full(64, np.inf)), "'scale_conv1/1' holds numbers that are not finite"),
}


@pytest.mark.any_backend
@pytest.mark.parametrize("case", WRONG_NETS)
def test_wrong_nets_are_told_in_one_line(tmp_path, case):
    make, match = WRONG_NETS[case]
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(make(), v1=case == "AlexNet"))
    refused(tmp_path / "net.caffemodel", match)


def refused(file, match):
    with pytest.raises(OSError, match=match) as caught:
        convert(file, file.with_name("net.keras"))
    assert "\n" not in str(caught.value)
    assert not file.with_name("net.keras").exists()


def net_of(**blob):
    """A net of one layer with this blob, as protobuf writes it."""
    net = MESSAGES["NetParameter"]()
    shape = blob.pop("dim", None)
    message = net.layer.add(name="conv1").blobs.add(**blob)
    if shape is not None:
        message.shape.dim.extend(shape)
    return net.SerializeToString()


def field(number, kind, content):
    tag, first = number << 3 | kind, []
    while tag >= 0x80:
        first.append(tag & 0x7F | 0x80)
        tag >>= 7
    return bytes([*first, tag]) + content


GOOD = net_of(data=[1.0, 2.0], dim=[2])
UNPACKED = field(7, 2, b"\x05" + field(5, 5, struct.pack("<f", 1.0)))
WRONG_FILES = {
    "cut": (GOOD[:-1], "truncated or damaged"),
    "a length of 2 to the 63": (field(100, 2, b"\xff" * 9 + b"\x7f"), "claims .* bytes, 0 are left"),
    "a length of 4 billion inside": (field(100, 2, b"\x06") + field(7, 2, b"\xff\xff\xff\xff\x0f"), "damaged"),
    "a number without an end": (field(100, 2, b"\xff" * 20), "a number without an end"),
    "a group": (GOOD + field(5, 3, b""), "a field of type 3"),
    "field 0": (GOOD + field(0, 0, b"\x01"), "a field without a number"),
    "a million fields": (GOOD + field(5, 0, b"\x01") * (1 << 20), "more than 1,048,576 fields"),
    "a shape of more than it holds": (net_of(data=[1.0], dim=[1 << 40, 1 << 40]), "and 1 numbers"),
    "a negative shape": (net_of(data=[1.0], dim=[-1]), "and 1 numbers"),
    "a shape of 0": (net_of(data=[1.0], dim=[0]), "and 1 numbers"),
    "100 axes": (net_of(data=[1.0], dim=[1] * 100), "more than 32 axes"),
    "no shape": (net_of(data=[1.0]), "and 1 numbers"),
    "no numbers": (net_of(dim=[2]), "and 0 numbers"),
    "half a number": (field(100, 2, b"\x07") + field(7, 2, b"\x05") + field(5, 2, b"\x03abc"), "in packed form"),
    "one by one": (field(100, 2, bytes([len(UNPACKED)])) + UNPACKED, "in packed form"),
    "twice": (GOOD + GOOD, "'conv1/0' occurs twice"),
    "no weights": (MESSAGES["NetParameter"](name="ResNet-50", input=["data"]).SerializeToString(), "not a Caffe net"),
    "a prototxt": (b'name: "ResNet-50"\ninput: "data"\nlayer {\n}\n', "a .prototxt, a text file"),
    "a commented prototxt": (b'\n# ResNet\nlayer {\n  name: "conv1"\n}\n', "a .prototxt, a text file"),
    "lines": (b"\nsome text", "truncated or damaged|not a Caffe file"),
}


@pytest.mark.any_backend
@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_files_are_told_in_one_line(tmp_path, case):
    content, match = WRONG_FILES[case]
    (tmp_path / "net.caffemodel").write_bytes(content)
    refused(tmp_path / "net.caffemodel", match)


@pytest.mark.any_backend
def test_damage_anywhere_is_refused_or_leaves_a_net():
    data = caffemodel({"conv1/0": np.ones((2, 3), np.float32), "bn_conv1/0": np.ones(2, np.float32)})
    random = np.random.default_rng(4)
    for _ in range(3000):
        cut = bytearray(data[: random.integers(1, len(data) + 1)])
        cut[random.integers(len(cut))] ^= 1 << random.integers(8)
        try:
            arrays, _ = caffe_file.read(bytes(cut))
        except caffe_file.Unreadable:
            continue
        assert sum(array.size for array in arrays.values()) <= 8


@pytest.mark.any_backend
@pytest.mark.parametrize("v1", [False, True])
def test_a_file_cut_anywhere_is_refused_or_holds_whole_layers(v1):
    blobs = {name: np.arange(size, dtype=np.float32) for name, size in (("conv1/0", 9), ("conv1/1", 3), ("bn/0", 2))}
    data = caffemodel(blobs, v1=v1)
    found = set()
    for size in range(1, len(data)):
        try:
            arrays, _ = caffe_file.read(data[:size])
        except caffe_file.Unreadable:
            continue
        assert all((arrays[name] == blobs[name]).all() for name in arrays)
        found.add(tuple(arrays))
    # Cut between the two layers; or, in the old form, before the net's input, which comes after them there.
    assert found - {tuple(blobs)} == {("conv1/0", "conv1/1")}


@pytest.mark.any_backend
def test_a_file_has_a_gigabyte_at_most(tmp_path):
    with (tmp_path / "net.caffemodel").open("wb") as file:
        file.write(caffemodel({"conv1/0": np.ones(3, np.float32)}))
        file.truncate(2**30 + 1)  # takes no room on disk
    refused(tmp_path / "net.caffemodel", "it has 1,073,741,825 bytes, more than the limit of 1,073,741,824")


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "it is empty"),
        (binaryproto(np.ones((3, 4, 4)))[:-1], "truncated or damaged"),
        (binaryproto(np.ones((1, 4, 4))), r"shape \(1, 1, 4, 4\)"),
        (binaryproto(np.full((3, 4, 4), 256.0)), "256 to 256"),
        (binaryproto(np.full((3, 4, 4), np.nan)), "not finite"),
    ],
)
def test_wrong_means_are_told_in_one_line(tmp_path, content, match):
    (tmp_path / "mean.binaryproto").write_bytes(content)
    with pytest.raises(OSError, match=match) as caught:
        caffe.read_mean(tmp_path / "mean.binaryproto")
    assert "\n" not in str(caught.value)


@pytest.mark.any_backend
def test_a_mean_is_for_nets_of_caffe(tmp_path):
    (tmp_path / "mean.binaryproto").write_bytes(binaryproto(np.ones((3, 4, 4))))
    write_npz(tmp_path / "net.npz", {"conv1.weight": np.ones((16, 3, 3, 3), np.float32)})
    with pytest.raises(InvalidValue, match="A mean image is only for a Caffe net"):
        convert(tmp_path / "net.npz", tmp_path / "net.keras", mean=tmp_path / "mean.binaryproto")
