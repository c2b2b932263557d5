"""The released nets, computed in PyTorch and written to files by Google's protobuf, both independently of our code."""

import math

import numpy as np
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from torch.nn import functional

MEAN_BGR = (103.062623801, 115.902882574, 123.151630838)
OPTIONAL, REPEATED = 1, 3
DOUBLE, FLOAT, INT64, INT32, STRING, MESSAGE = 1, 2, 3, 5, 9, 11

# BVLC/caffe's caffe.proto, as far as it is needed: (name, number, label, type); repeated numbers are packed.
PROTO = {
    "BlobShape": [("dim", 1, REPEATED, INT64)],
    "BlobProto": [
        ("shape", 7, OPTIONAL, "BlobShape"),
        ("data", 5, REPEATED, FLOAT),
        ("diff", 6, REPEATED, FLOAT),
        ("double_data", 8, REPEATED, DOUBLE),
        *((name, number, OPTIONAL, INT32) for number, name in enumerate(("num", "channels", "height", "width"), 1)),
    ],
    "LayerParameter": [
        ("name", 1, OPTIONAL, STRING),
        ("type", 2, OPTIONAL, STRING),
        ("bottom", 3, REPEATED, STRING),
        ("blobs", 7, REPEATED, "BlobProto"),
        ("phase", 10, OPTIONAL, INT32),
    ],
    "V1LayerParameter": [
        ("bottom", 2, REPEATED, STRING),
        ("name", 4, OPTIONAL, STRING),
        ("type", 5, OPTIONAL, INT32),
        ("blobs", 6, REPEATED, "BlobProto"),
    ],
    "NetParameter": [
        ("name", 1, OPTIONAL, STRING),
        ("layers", 2, REPEATED, "V1LayerParameter"),
        ("input", 3, REPEATED, STRING),
        ("layer", 100, REPEATED, "LayerParameter"),
    ],
}


def _messages():
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for message, rows in PROTO.items():
        described = file.message_type.add(name=message)
        for name, number, label, kind in rows:
            field = described.field.add(name=name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = MESSAGE, f".caffe.{kind}"
            else:
                field.type = kind
                field.options.packed = label == REPEATED and kind != STRING
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}")) for name in PROTO}


MESSAGES = _messages()


def put(blob, array, *, double=False, old_shape=False):
    """Fills a BlobProto."""
    if old_shape:
        blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - array.ndim) + array.shape
    else:
        blob.shape.dim.extend(array.shape)
    (blob.double_data if double else blob.data).extend(array.astype(np.float64 if double else np.float32).ravel())


def caffemodel(blobs, *, v1=False, double=False, old_shape=False):
    """A net as Caffe saves it, with a layer without weights before each that has some."""
    net = MESSAGES["NetParameter"](name="ResNet", input=["data"])
    for name in dict.fromkeys(key.rpartition("/")[0] for key in blobs):
        layers = net.layers if v1 else net.layer
        layers.add(name=f"{name}_relu", bottom=[name])
        layer = layers.add(name=name, bottom=["data"])
        for index in range(sum(key.startswith(f"{name}/") for key in blobs)):
            put(layer.blobs.add(), blobs[f"{name}/{index}"], double=double, old_shape=old_shape)
    return net.SerializeToString()


def binaryproto(array):
    blob = MESSAGES["BlobProto"]()
    put(blob, array, old_shape=True)
    return blob.SerializeToString()


def units_of(stage, units, numbered):
    return [f"{stage}a"] + [f"{stage}b{n}" if numbered else f"{stage}{'abcdefgh'[n]}" for n in range(1, units)]


class CaffeNet:
    """A net of the prototxt files: `stages` are (width, units, whether the units' names are numbered)."""

    def __init__(self, stages, stem, classes, bias):
        self.stages = [(number, width, units_of(number, *row)) for number, (width, *row) in enumerate(stages, start=2)]
        self.random, self.blobs = np.random.default_rng(5), {}
        self._layer("conv1", 3, stem, 7, bias)
        channels = stem
        for _, width, units in self.stages:
            for name in units:
                if name.endswith("a"):
                    self._layer(f"res{name}_branch1", channels, 4 * width, 1)
                self._layer(f"res{name}_branch2a", channels, width, 1)
                self._layer(f"res{name}_branch2b", width, width, 3)
                self._layer(f"res{name}_branch2c", width, 4 * width, 1)
                channels = 4 * width
        self.blobs["fc1000/0"] = self._normal((classes, channels), channels**-0.5)
        self.blobs["fc1000/1"] = self._normal((classes,), 0.1)

    def _normal(self, shape, deviation):
        return self.random.normal(0, deviation, shape).astype(np.float32)

    def _layer(self, name, channels, filters, size, bias=False):
        own = name.removeprefix("res") if name != "conv1" else "_conv1"
        self.blobs[f"{name}/0"] = self._normal((filters, channels, size, size), math.sqrt(2 / (channels * size**2)))
        if bias:
            self.blobs[f"{name}/1"] = self._normal((filters,), 0.5)
        for part, shape in enumerate((filters, filters, 1)):
            self.blobs[f"bn{own}/{part}"] = np.ones(shape, np.float32)
        self.blobs[f"scale{own}/0"] = self.random.uniform(0.5, 1.5, filters).astype(np.float32)
        self.blobs[f"scale{own}/1"] = self._normal((filters,), 0.5)

    def logits(self, images, mean=MEAN_BGR, *, settle=False):
        """The logits of RGB images, 0..255; `settle` first takes the statistics from the images, times some number."""
        x = torch.from_numpy((images[..., ::-1] - np.asarray(mean)).transpose(0, 3, 1, 2).astype(np.float32))

        def layer(x, name, stride=1):
            own = name.removeprefix("res") if name != "conv1" else "_conv1"
            blobs = {
                key: torch.from_numpy(array)
                for key, array in self.blobs.items()
                if key.startswith((name, "bn" + own + "/", "scale" + own + "/"))
            }
            kernel = blobs[f"{name}/0"]
            x = functional.conv2d(x, kernel, blobs.get(f"{name}/1"), stride, padding=(kernel.shape[2] - 1) // 2)
            if settle:
                times = self.random.uniform(0.5, 999)
                parts = (x.mean((0, 2, 3)) * times, x.var((0, 2, 3)) * times, torch.tensor([times]))
                for part, value in enumerate(parts):
                    blobs[f"bn{own}/{part}"] = value.float()
                    self.blobs[f"bn{own}/{part}"] = value.float().numpy()
            mean, variance = (blobs[f"bn{own}/{part}"] / blobs[f"bn{own}/2"] for part in (0, 1))
            return functional.batch_norm(x, mean, variance, blobs[f"scale{own}/0"], blobs[f"scale{own}/1"], eps=1e-5)

        with torch.no_grad():
            x = functional.max_pool2d(layer(x, "conv1", 2).relu(), 3, 2, ceil_mode=True)
            for number, _, units in self.stages:
                for unit in units:
                    stride = 2 if unit.endswith("a") and number > 2 else 1
                    y = layer(x, f"res{unit}_branch2a", stride).relu()
                    y = layer(layer(y, f"res{unit}_branch2b").relu(), f"res{unit}_branch2c")
                    if unit.endswith("a"):
                        x = layer(x, f"res{unit}_branch1", stride)
                    x = (x + y).relu()
            weight, bias = (torch.from_numpy(self.blobs[f"fc1000/{part}"]) for part in (0, 1))
            return functional.linear(x.mean((2, 3)), weight, bias).numpy()
