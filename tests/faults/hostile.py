"""Files that nobody should open: for each, a name and how it is made from a good file."""

import copy
import gzip
import io
import json
import os
import pickle
import socket
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from model_files import CONFIG, METADATA, WEIGHTS, info, pack, repack


class Good(NamedTuple):
    """A file that opens."""

    data: bytes
    members: dict[str, bytes]

    @property
    def metadata(self) -> dict[str, Any]:
        return json.loads(self.members[METADATA])

    @property
    def config(self) -> dict[str, Any]:
        return json.loads(self.members[CONFIG])

    def repack(self, **changed: object) -> bytes:
        return repack(self.members, **changed)


Maker = Callable[[Good], bytes]


def at(tree: Any, *path: Any) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def changed(tree: Any, *path: Any, value: Any) -> Any:
    """A copy of the tree with another value at a path."""
    tree = copy.deepcopy(tree)
    at(tree, *path[:-1])[path[-1]] = value
    return tree


def patched(data: bytes, offset: int, content: bytes) -> bytes:
    return data[:offset] + content + data[offset + len(content) :]


# ----- the archive -----


def in_order(good: Good, *names: str, **infos: zipfile.ZipInfo) -> bytes:
    return pack(*((infos.get(name.split(".")[0], name), good.members[name]) for name in names))


ALL = (METADATA, CONFIG, WEIGHTS)


def with_info(name: str, **fields: object) -> Maker:
    return lambda good: in_order(good, *ALL, **{name.split(".")[0]: info(name, **fields)})


def more(*members: tuple[zipfile.ZipInfo | str, bytes]) -> Maker:
    return lambda good: pack(*good.members.items(), *members)


def named(name: str) -> Maker:
    return lambda good: pack(*((name if old == CONFIG else old, content) for old, content in good.members.items()))


def field(part: str, offset: int, content: bytes, which: int = 1) -> Maker:
    """Changes bytes in a member's header (`local` or `central`) or in the `end` record of the directory."""
    signature = {"local": b"PK\3\4", "central": b"PK\1\2", "end": b"PK\5\6"}[part]

    def make(good: Good) -> bytes:
        place = -1
        for _ in range(which):
            place = good.data.index(signature, place + 1)
        return patched(good.data, place + offset, content)

    return make


def bomb(good: Good) -> bytes:
    zeros = b" " * 300_000_000
    return pack((METADATA, good.members[METADATA]), (info(CONFIG, compress_type=zipfile.ZIP_DEFLATED), zeros))


def nested_bomb(good: Good) -> bytes:
    inner = pack((info("inner", compress_type=zipfile.ZIP_DEFLATED), b"\0" * 50_000_000))
    for _ in range(3):
        inner = pack(*((info(f"{number}.zip", compress_type=zipfile.ZIP_DEFLATED), inner) for number in range(8)))
    return good.repack(weights=inner)


def tar(good: Good) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("../../evil")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    return file.getvalue()


def overlapping(good: Good) -> bytes:
    """The directory's second entry points to the first member."""
    second = good.data.index(b"PK\1\2", good.data.index(b"PK\1\2") + 1)
    return patched(good.data, second + 42, struct.pack("<I", 0))


def zip64_end(good: Good) -> bytes:
    end = good.data.index(b"PK\5\6")
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 3, 3, 2**63, 2**63)
    return good.data[:end] + record + struct.pack("<4sIQI", b"PK\6\7", 0, end, 1) + good.data[end:]


def gap(good: Good) -> bytes:
    second = good.data.index(b"PK\3\4", 4)
    return good.data[:second] + b"\0" * 8 + good.data[second:]


class Gadget:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/resnet_keras_was_here",)


ARCHIVES: dict[str, Maker] = {
    "empty file": lambda good: b"",
    "text": lambda good: b"hello",
    "a shell script before the archive": lambda good: b"#!/bin/sh\necho hello\n" + good.data,
    "one byte before the archive": lambda good: b"P" + good.data,
    "one byte after the archive": lambda good: good.data + b"\0",
    "an archive after the archive": lambda good: good.data + good.data,
    "a comment": lambda good: pack(*good.members.items(), comment=b"hello"),
    "a comment that is announced": field("end", 20, b"\5\0"),
    "the empty archive": lambda good: pack(),
    "the end of an archive only": lambda good: good.data[good.data.index(b"PK\5\6") :],
    "the directory only": lambda good: good.data[good.data.index(b"PK\1\2") :],
    "no metadata": lambda good: in_order(good, CONFIG, WEIGHTS),
    "no configuration": lambda good: in_order(good, METADATA, WEIGHTS),
    "no weights": lambda good: in_order(good, METADATA, CONFIG),
    "members in another order": lambda good: in_order(good, CONFIG, METADATA, WEIGHTS),
    "metadata twice": more((METADATA, b"{}")),
    "configuration twice": more((CONFIG, b"{}")),
    "weights twice": more((WEIGHTS, b"")),
    "weights in npz": lambda good: pack(*list(good.members.items())[:2], ("model.weights.npz", b"")),
    "one member more": more(("readme.txt", b"hello")),
    "an asset": more(("assets/vocabulary.txt", b"hello")),
    "a folder": more((info("assets/", external_attr=0o40700 << 16 | 16), b"")),
    "a path upwards": more(("../../evil.txt", b"evil")),
    "an absolute path": more(("/tmp/evil.txt", b"evil")),
    "a path of Windows": more(("C:\\evil.txt", b"evil")),
    "a path upwards for the configuration": named("../config.json"),
    "a path through a folder for the configuration": named("x/../config.json"),
    "the configuration in capitals": named("CONFIG.JSON"),
    "a name of no ASCII letters": named("c\u043enfig.json"),
    "a name of 60,000 letters": named("c" * 60_000),
    "an empty name": named(""),
    "a symbolic link": with_info(CONFIG, external_attr=0o120777 << 16),
    "a symbolic link to /etc/passwd": lambda good: pack(
        *list(good.members.items())[:2], (info(WEIGHTS, external_attr=0o120777 << 16), b"/etc/passwd")
    ),
    "a directory in the place of a member": with_info(CONFIG, external_attr=0o40700 << 16 | 16),
    "a device": with_info(WEIGHTS, external_attr=0o20666 << 16),
    "a member that anyone may run": with_info(WEIGHTS, external_attr=0o106777 << 16),
    "another date": with_info(CONFIG, date_time=(2038, 1, 19, 3, 14, 8)),
    "a member's comment": with_info(CONFIG, comment=b"hello"),
    "an extra field": with_info(CONFIG, extra=b"\x99\x99\4\0evil"),
    "an extra field of zip64": with_info(WEIGHTS, extra=struct.pack("<2H2Q", 1, 16, 2**62, 2**62)),
    "an extra field with another name": with_info(CONFIG, extra=b"\x75\x70\x0e\0\1\0\0\0\0/etc/passwd"),
    "deflated configuration": with_info(CONFIG, compress_type=zipfile.ZIP_DEFLATED),
    "deflated weights": with_info(WEIGHTS, compress_type=zipfile.ZIP_DEFLATED),
    "bzip2": with_info(WEIGHTS, compress_type=zipfile.ZIP_BZIP2),
    "lzma": with_info(WEIGHTS, compress_type=zipfile.ZIP_LZMA),
    "a bomb of 300 MB": bomb,
    "a bomb in a bomb": nested_bomb,
    "an unknown compression": field("local", 8, b"\x63\0"),
    "encrypted": field("local", 6, b"\1\0"),
    "encrypted in the directory": field("central", 8, b"\1\0"),
    "sizes after the data": field("local", 6, b"\x08\0", which=3),
    "names in UTF-8": field("local", 6, b"\0\x08"),
    "wrong sum in the header": field("local", 14, b"\1\2\3\4"),
    "wrong sum in the directory": field("central", 16, b"\1\2\3\4"),
    "content that is not of its sum": lambda good: patched(good.data, 40, b"!"),
    "weights that are not of their sum": lambda good: patched(good.data, len(good.data) - 400_000, b"\1\2\3"),
    "a name that differs in the directory": field("central", 46, b"/etc/passwd\0\0", which=1),
    "a name that differs in the header": field("local", 30, b"configxjson", which=2),
    "a size of nothing": field("local", 22, b"\0\0\0\0", which=3),
    "a size of 4 GB": field("local", 22, b"\xff\xff\xff\xff", which=3),
    "a compressed size of 4 GB": field("local", 18, b"\xff\xff\xff\xff", which=3),
    "a size of 4 GB in the directory": field("central", 24, b"\xff\xff\xff\xff", which=3),
    "a name of 65,535 letters that are not there": field("local", 26, b"\xff\xff", which=3),
    "65,535 members": field("end", 8, b"\xff\xff\xff\xff"),
    "two members": field("end", 8, b"\2\0\2\0"),
    "a directory that starts elsewhere": field("end", 16, b"\0\0\0\0"),
    "a directory of another size": field("end", 12, b"\0\0\0\0"),
    "a second disk": field("end", 4, b"\1\0\1\0"),
    "two entries for one member": overlapping,
    "an end of zip64": zip64_end,
    "a gap between members": gap,
    "half of it": lambda good: good.data[: len(good.data) // 2],
    "without its last byte": lambda good: good.data[:-1],
    "zeros": lambda good: bytes(len(good.data)),
    "gzip": lambda good: gzip.compress(good.data),
    "tar": tar,
    "pickle": lambda good: pickle.dumps(Gadget()),
    "HDF5 without an archive": lambda good: good.members[WEIGHTS],
    "an archive in an archive": lambda good: pack(("model.keras", good.data)),
}

# ----- metadata.json -----

DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


def metadata(*path: Any, value: Any) -> Maker:
    return lambda good: good.repack(metadata=changed(good.metadata, *path, value=value))


def metadata_text(old: bytes, new: bytes) -> Maker:
    def make(good: Good) -> bytes:
        text = good.members[METADATA].replace(old, new, 1)
        assert text != good.members[METADATA]
        return good.repack(metadata=text)

    return make


def architecture(*path: Any, value: Any) -> Maker:
    return metadata("architecture", *path, value=value)


def bomb_of_stages(good: Good) -> bytes:
    """A net that is consistent in itself, but is not the one whose weights are there."""
    from resnet_keras import cifar10

    return good.repack(metadata=good.metadata | {"architecture": cifar10(1202, "A", 4, image_size=8).to_dict()})


METADATAS: dict[str, Maker] = {
    "metadata: nothing": lambda good: good.repack(metadata=b""),
    "metadata: null": lambda good: good.repack(metadata=b"null"),
    "metadata: a list": lambda good: good.repack(metadata=b"[]"),
    "metadata: no architecture": lambda good: good.repack(metadata={"keras_version": "3.15.1", "date_saved": "today"}),
    "metadata: one name more": metadata("custom_objects", value={}),
    "metadata: Keras's version is a list": metadata("keras_version", value=[]),
    "metadata: a name twice": metadata_text(b'"depth": 8', b'"depth": 8, "depth": 8'),
    "metadata: 100,000 levels": lambda good: good.repack(metadata=DEEP),
    "metadata: a class name too few": metadata("class_names", value=["a", "b", "c"]),
    "metadata: a class name twice": metadata("class_names", value=["a", "b", "c", "a"]),
    "metadata: class names that are numbers": metadata("class_names", value=[1, 2, 3, 4]),
    "metadata: class names as one text": metadata("class_names", value="abcd"),
    "metadata: one megabyte": metadata("date_saved", value="x" * 1_000_000),
    "metadata: no UTF-8": metadata_text(b"ResNet", b"\xff\xfe"),
    "metadata: UTF-16": lambda good: good.repack(metadata=good.members[METADATA].decode().encode("utf-16")),
    "metadata: a byte order mark": lambda good: good.repack(metadata=b"\xef\xbb\xbf" + good.members[METADATA]),
    "metadata: text after the end": lambda good: good.repack(metadata=good.members[METADATA] + b"{}"),
    "metadata: NUL": lambda good: good.repack(metadata=b"\0" + good.members[METADATA]),
    "metadata: cut": lambda good: good.repack(metadata=good.members[METADATA][:-5]),
    "architecture: null": metadata("architecture", value=None),
    "architecture: a list": metadata("architecture", value=[1]),
    "architecture: a string": metadata("architecture", value="ResNet-8"),
    "architecture: one name more": architecture("__class__", value="os.system"),
    "architecture: a name less": lambda good: good.repack(
        metadata=good.metadata
        | {"architecture": {key: value for key, value in good.metadata["architecture"].items() if key != "mean"}}
    ),
    "architecture: another depth": architecture("depth", value=20),
    "architecture: another number of parameters": architecture("parameters", value=1),
    "architecture: another number of multiply-adds": architecture("multiply_adds", value=1),
    "architecture: another name": architecture("name", value="ResNet-8\nevil"),
    "architecture: a name of 10,000 letters": architecture("name", value="x" * 10_000),
    "architecture: depth is true": architecture("depth", value=True),
    "architecture: depth is a fraction": architecture("depth", value=8.0),
    "architecture: classes are text": architecture("num_classes", value="4"),
    "architecture: classes are true": architecture("num_classes", value=True),
    "architecture: one class": architecture("num_classes", value=1),
    "architecture: 10 to the 12 classes": architecture("num_classes", value=10**12),
    "architecture: -4 classes": architecture("num_classes", value=-4),
    "architecture: NaN classes": metadata_text(b'"num_classes": 4', b'"num_classes": NaN'),
    "architecture: infinite classes": metadata_text(b'"num_classes": 4', b'"num_classes": 1e999'),
    "architecture: a number of 5,000 digits": metadata_text(b'"num_classes": 4', b'"num_classes": ' + b"9" * 5000),
    "architecture: an image of a billion pixels": architecture("image_size", value=10**9),
    "architecture: an image of no pixels": architecture("image_size", value=0),
    "architecture: an image smaller than the strides": architecture("image_size", value=2),
    "architecture: a unit of code": architecture("unit", value="__import__('os')"),
    "architecture: a unit that is a list": architecture("unit", value=["basic"]),
    "architecture: shortcut D": architecture("shortcut", value="D"),
    "architecture: shortcut is an object": architecture("shortcut", value={}),
    "architecture: another shortcut": architecture("shortcut", value="C"),
    "architecture: another stride": architecture("stride_in", value="5x5"),
    "architecture: another mean": architecture("mean", value="median"),
    "architecture: no stages": architecture("stages", value=[]),
    "architecture: stages are a number": architecture("stages", value=3),
    "architecture: 300 stages": architecture("stages", value=[{"filters": 1, "units": 1, "strides": 1}] * 300),
    "architecture: a stage is a list": architecture("stages", 0, value=[16, 1, 1]),
    "architecture: a billion units": architecture("stages", 0, "units", value=10**9),
    "architecture: no units": architecture("stages", 0, "units", value=0),
    "architecture: 2 to the 63 filters": architecture("stages", 0, "filters", value=2**63),
    "architecture: 4,096 filters": architecture("stages", 0, "filters", value=4096),
    "architecture: stride 0": architecture("stages", 0, "strides", value=0),
    "architecture: stride 2 to the 31": architecture("stages", 0, "strides", value=2**31),
    "architecture: a kernel without a middle": architecture("stem", "kernel_size", value=2),
    "architecture: a kernel of a billion": architecture("stem", "kernel_size", value=10**9 + 1),
    "architecture: a pool of 1": architecture("stem", "pool", value=1),
    "architecture: a pool padded otherwise": architecture("stem", "pool_padding", value="same"),
    "architecture: a padding of no pool": architecture("stem", "pool_padding", value="end"),
    "architecture: the stem is null": architecture("stem", value=None),
    "architecture: 1,202 layers that are not there": bomb_of_stages,
}

# ----- config.json -----

LAYERS = ("config", "layers")
CONVOLUTION, NORM, RELU, ADD = 2, 3, 4, 9


def config(*path: Any, value: Any) -> Maker:
    return lambda good: good.repack(config=changed(good.config, *path, value=value))


def layer(number: int, *path: Any, value: Any) -> Maker:
    return config(*LAYERS, number, *path, value=value)


def object_at(number: int, module: Any, name: Any, registered: Any = None, /, **inner: Any) -> Maker:
    value = {"module": module, "class_name": name, "config": inner, "registered_name": registered}

    def make(good: Good) -> bytes:
        old = at(good.config, *LAYERS, number)
        return good.repack(config=changed(good.config, *LAYERS, number, value=old | value))

    return make


def config_text(old: bytes, new: bytes) -> Maker:
    def make(good: Good) -> bytes:
        text = good.members[CONFIG].replace(old, new, 1)
        assert text != good.members[CONFIG]
        return good.repack(config=text)

    return make


def layers(edit: Callable[[list[Any]], list[Any]]) -> Maker:
    return lambda good: good.repack(config=changed(good.config, *LAYERS, value=edit(good.config["config"]["layers"])))


def named_object(name: str, module: str = "keras.initializers", /, **inner: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": inner, "registered_name": None}


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wAAAA==", "defaults": None, "closure": None}}
OPTIMIZER = ("compile_config", "optimizer")

CONFIGS: dict[str, Maker] = {
    "config: nothing": lambda good: good.repack(config=b""),
    "config: null": lambda good: good.repack(config=b"null"),
    "config: a list": lambda good: good.repack(config=b"[]"),
    "config: a string": lambda good: good.repack(config=b'"keras"'),
    "config: a number": lambda good: good.repack(config=b"1"),
    "config: 100,000 levels of objects": lambda good: good.repack(config=DEEP),
    "config: 100,000 levels of lists": lambda good: good.repack(config=b"[" * 100_000 + b"]" * 100_000),
    "config: 60 levels": layer(RELU, "config", value=json.loads("[" * 60 + "]" * 60)),
    "config: 20,000 empty lists": layer(RELU, "config", value=[[]] * 20_000),
    "config: 50 MB": lambda good: good.repack(config=good.members[CONFIG] + b" " * 50_000_000),
    "config: no UTF-8": config_text(b"conv1_conv", b"\xc3\x28"),
    "config: half of a character": config_text(b'"conv1_conv"', b'"\\ud800"'),
    "config: NUL": lambda good: good.repack(config=b"\0"),
    "config: NaN": config_text(b'"epsilon": 1e-05', b'"epsilon": NaN'),
    "config: Infinity": config_text(b'"epsilon": 1e-05', b'"epsilon": -Infinity'),
    "config: 1e999": config_text(b'"epsilon": 1e-05', b'"epsilon": 1e999'),
    "config: a number of 5,000 digits": config_text(b'"filters": 16', b'"filters": ' + b"9" * 5000),
    "config: a name twice": config_text(b'"filters": 16', b'"filters": 16, "filters": 16'),
    "config: a class twice": config_text(b'"class_name": "Conv2D"', b'"class_name":"Lambda","class_name":"Conv2D"'),
    "config: Lambda": object_at(RELU, "keras.layers", "Lambda", function=LAMBDA),
    "config: a function in a layer": layer(RELU, "config", "activation", value=LAMBDA),
    "config: a function in the convolution": layer(CONVOLUTION, "config", "activation", value=LAMBDA),
    "config: a registered gadget": object_at(RELU, "gadgets", "Gadget", "gadgets>Gadget"),
    "config: a registered name over a stock class": layer(RELU, "registered_name", value="gadgets>Gadget"),
    "config: builtins.eval": object_at(RELU, "builtins", "eval"),
    "config: builtins.exec": layer(RELU, "config", value={"module": "builtins", "class_name": "exec", "config": "1"}),
    "config: __builtin__": object_at(RELU, "__builtin__", "eval"),
    "config: os.system": object_at(RELU, "os", "system", command="touch /tmp/evil"),
    "config: posix.system": object_at(RELU, "posix", "system"),
    "config: subprocess.Popen": object_at(RELU, "subprocess", "Popen", args=["touch", "/tmp/evil"]),
    "config: importlib": object_at(RELU, "importlib", "import_module", name="evil"),
    "config: pickle.loads": object_at(RELU, "pickle", "loads"),
    "config: numpy.load": object_at(RELU, "numpy", "load", file="/etc/passwd"),
    "config: keras.utils.get_file": object_at(RELU, "keras.utils", "get_file", origin="http://127.0.0.1/"),
    "config: keras.saving.load_model": object_at(RELU, "keras.saving", "load_model", filepath="/tmp/evil.keras"),
    "config: set_floatx": object_at(RELU, "keras.config", "set_floatx", value="float16"),
    "config: set_floatx by the source's name": object_at(RELU, "keras.src.backend.config", "set_floatx"),
    "config: set_dtype_policy": object_at(RELU, "keras.config", "set_dtype_policy", policy="float16"),
    "config: enable_unsafe_deserialization": object_at(RELU, "keras.config", "enable_unsafe_deserialization"),
    "config: clear_session": object_at(RELU, "keras.utils", "clear_session"),
    "config: TFSMLayer": object_at(RELU, "keras.layers", "TFSMLayer", filepath="/tmp/evil"),
    "config: TorchModuleWrapper": object_at(RELU, "keras.layers", "TorchModuleWrapper", module="gAR="),
    "config: Wrapper": object_at(RELU, "keras.layers", "TimeDistributed", layer=named_object("Lambda", "keras.layers")),
    "config: a layer that is allowed nowhere": object_at(RELU, "keras.layers", "Dropout", rate=0.5),
    "config: another module of the class": layer(RELU, "module", value="keras.src.layers.core.lambda_layer"),
    "config: no module": layer(RELU, "module", value=None),
    "config: the module is a list": layer(RELU, "module", value=["keras.layers"]),
    "config: the class is a number": layer(RELU, "class_name", value=7),
    "config: the class is a path": layer(RELU, "class_name", value="../../evil"),
    "config: custom objects": config("custom_objects", value={"Gadget": "os.system"}),
    "config: a tensor": layer(RELU, "config", "activation", value={"class_name": "__tensor__", "config": {"value": 1}}),
    "config: a NumPy array": layer(RELU, "config", value={"class_name": "__numpy__", "config": {"value": [1] * 9}}),
    "config: a type": layer(RELU, "config", "x", value={"class_name": "__typevar__", "config": {}}),
    "config: a gadget as initializer": layer(
        CONVOLUTION, "config", "kernel_initializer", value=named_object("Gadget", "gadgets")
    ),
    "config: a gadget in an initializer": layer(
        CONVOLUTION,
        "config",
        "kernel_initializer",
        "config",
        "seed",
        value=named_object("SeedGenerator", "keras.random"),
    ),
    "config: a gadget as regularizer": layer(CONVOLUTION, "config", "kernel_regularizer", value=LAMBDA),
    "config: a gadget as type": layer(RELU, "config", "dtype", value=named_object("Gadget", "gadgets")),
    "config: complex numbers": layer(RELU, "config", "dtype", "config", "name", value="complex64"),
    "config: a type that is a list": layer(0, "config", "dtype", value=["float32"]),
    "config: a quantised type": layer(RELU, "config", "dtype", value=named_object("QuantizedDTypePolicy", "keras")),
    "config: a gadget as optimizer": config(*OPTIMIZER, value=named_object("Gadget", "gadgets")),
    "config: a gadget as learning rate": config(*OPTIMIZER, "config", "learning_rate", value=LAMBDA),
    "config: a gadget as loss": config("compile_config", "loss", value=LAMBDA),
    "config: a gadget as metric": config("compile_config", "metrics", value=[named_object("Gadget", "gadgets")]),
    "config: a function as loss": config(
        "compile_config", "loss", value={"module": "builtins", "class_name": "function", "config": "exit"}
    ),
    "config: a layer less": layers(lambda rows: rows[:RELU] + rows[RELU + 1 :]),
    "config: a layer twice": layers(lambda rows: rows[: RELU + 1] + rows[RELU:]),
    "config: layers backwards": layers(lambda rows: rows[::-1]),
    "config: no layers": layers(lambda rows: []),
    "config: 300 layers": layers(lambda rows: rows + [rows[RELU]] * 300),
    "config: layers are an object": config("config", "layers", value={}),
    "config: a layer is null": layer(RELU, value=None),
    "config: another net's name": config("config", "name", value="ResNet-20"),
    "config: more filters": layer(CONVOLUTION, "config", "filters", value=10**6),
    "config: filters are true": layer(CONVOLUTION, "config", "filters", value=True),
    "config: another stride": layer(CONVOLUTION, "config", "strides", value=[2, 2]),
    "config: another padding": layer(CONVOLUTION, "config", "padding", value="valid"),
    "config: a dilation": layer(CONVOLUTION, "config", "dilation_rate", value=[2, 2]),
    "config: groups": layer(CONVOLUTION, "config", "groups", value=3),
    "config: channels first": layer(CONVOLUTION, "config", "data_format", value="channels_first"),
    "config: a bias": layer(CONVOLUTION, "config", "use_bias", value=True),
    "config: another activation": layer(RELU, "config", "activation", value="sigmoid"),
    "config: another epsilon": layer(NORM, "config", "epsilon", value=1.0),
    "config: another axis": layer(NORM, "config", "axis", value=1),
    "config: synchronised": layer(NORM, "config", "synchronized", value=True),
    "config: not trained": layer(NORM, "config", "trainable", value=False),
    "config: an inverted mean": layer(1, "config", "invert", value=True),
    "config: a mean of its own": layer(1, "config", "mean", value=[0.0]),
    "config: another input": layer(0, "config", "batch_shape", value=[None, 10**9, 10**9, 3]),
    "config: another source": layer(
        RELU, "inbound_nodes", 0, "args", 0, "config", "keras_history", value=["conv1_conv", 0, 0]
    ),
    "config: itself as source": layer(
        RELU, "inbound_nodes", 0, "args", 0, "config", "keras_history", value=["conv1_relu", 0, 0]
    ),
    "config: no source": layer(RELU, "inbound_nodes", value=[]),
    "config: another output": config("config", "output_layers", value=["predictions", 0, 0]),
    "config: another input layer": config("config", "input_layers", value=["mean", 0, 0]),
    "config: another layer's name": layer(RELU, "name", value="../../evil"),
    "config: one field more": layer(RELU, "config", "on_load", value="os.system"),
}

# ----- model.weights.h5 -----

Edit = Callable[[h5py.File], object]
KERNEL, GROUP = "layers/conv2d_1/vars/0", "layers/conv2d_1/vars"


def weights(edit: Edit) -> Maker:
    def make(good: Good) -> bytes:
        file = io.BytesIO(good.members[WEIGHTS])
        with h5py.File(file, "r+") as opened:
            edit(opened)
        return good.repack(weights=file.getvalue())

    return make


def instead(path: str = KERNEL, **arguments: Any) -> Maker:
    """Replaces a dataset by one of the same shape, type and values, except as given."""

    def edit(file: h5py.File) -> None:
        values = file[path][()]
        del file[path]
        defaults: dict[str, Any] = {"data": values} if not {"shape", "data"} & arguments.keys() else {}
        file.create_dataset(path, **defaults | arguments)

    return weights(edit)


def cast(dtype: Any, path: str = KERNEL) -> Maker:
    def edit(file: h5py.File) -> None:
        values = file[path][()]
        del file[path]
        file.create_dataset(path, data=np.asarray(values).astype(dtype))

    return weights(edit)


def link(target: Any, path: str = KERNEL) -> Maker:
    def edit(file: h5py.File) -> None:
        del file[path]
        file[path] = target

    return weights(edit)


def hard_link(target: str, path: str) -> Maker:
    def edit(file: h5py.File) -> None:
        del file[path]
        file[path] = file[target]

    return weights(edit)


def virtual(file: h5py.File) -> None:
    shape = file[KERNEL].shape
    del file[KERNEL]
    layout = h5py.VirtualLayout(shape, dtype="f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape)
    file.create_virtual_dataset(KERNEL, layout)


def references(file: h5py.File) -> None:
    shape = file[KERNEL].shape
    del file[KERNEL]
    values = file.create_dataset(KERNEL, shape, dtype=h5py.ref_dtype)
    values[...] = file["layers"].ref


def strings(file: h5py.File) -> None:
    shape = file[KERNEL].shape
    del file[KERNEL]
    file.create_dataset(KERNEL, shape, dtype=h5py.string_dtype())[...] = "x"


def value(path: str, number: float) -> Maker:
    def edit(file: h5py.File) -> None:
        values = file[path][()]
        values[(0,) * values.ndim] = number
        file[path][...] = values

    return weights(edit)


def dropped(path: str) -> Maker:
    return weights(lambda file: file.__delitem__(path))


def added(path: str, **arguments: Any) -> Maker:
    return weights(lambda file: file.create_dataset(path, **arguments))


def structure(find: bytes, offset: int, content: bytes, which: int = 1) -> Maker:
    """Changes bytes of an HDF5 structure: the `which`-th with this signature."""

    def make(good: Good) -> bytes:
        data, place = good.members[WEIGHTS], -1
        for _ in range(which):
            place = data.index(find, place + 1)
        return good.repack(weights=patched(data, place + offset, content))

    return make


def new_format(**arguments: Any) -> Maker:
    def make(good: Good) -> bytes:
        file = io.BytesIO()
        with h5py.File(io.BytesIO(good.members[WEIGHTS])) as old, h5py.File(file, "w", **arguments) as new:
            for name in old:
                old.copy(name, new)
        return good.repack(weights=file.getvalue())

    return make


def many_messages(good: Good) -> bytes:
    """A header that continues in 10,000 nested blocks: each contains all later ones."""
    data, count = good.members[WEIGHTS], 10_000
    rows = [struct.pack("<2HI2Q", 0x10, 16, 0, len(data) + 24 * row, 24 * (count - row)) for row in range(count)]
    root = patched(patched(data, 98, b"\xff\xff"), 112, rows[0])
    return good.repack(weights=patched(root + b"".join(rows), 40, struct.pack("<Q", len(data) + 24 * count)))


def wide_heap(good: Good) -> bytes:
    """A heap of names that extends to the end of the file."""
    data = good.members[WEIGHTS]
    heap = data.index(b"HEAP")
    (start,) = struct.unpack_from("<Q", data, heap + 24)
    return good.repack(weights=patched(data, heap + 8, struct.pack("<Q", len(data) - start)))


def moved_in(good: Good) -> bytes:
    """A dataset whose address is that of another's values."""
    with h5py.File(io.BytesIO(good.members[WEIGHTS])) as file:
        one, other = (file[f"layers/batch_normalization/vars/{number}"].id.get_offset() for number in (0, 1))
    data = good.members[WEIGHTS]
    return good.repack(weights=data.replace(struct.pack("<Q", one), struct.pack("<Q", other), 1))


FAR = struct.pack("<Q", 2**64 - 16)

HDF5S: dict[str, Maker] = {
    "weights: nothing": lambda good: good.repack(weights=b""),
    "weights: zeros": lambda good: good.repack(weights=bytes(len(good.members[WEIGHTS]))),
    "weights: JSON": lambda good: good.repack(weights=good.members[CONFIG] * 20),
    "weights: pickle": lambda good: good.repack(weights=pickle.dumps(Gadget()) + bytes(700_000)),
    "weights: an archive": lambda good: good.repack(weights=good.data),
    "weights: cut": lambda good: good.repack(weights=good.members[WEIGHTS][:-1000]),
    "weights: one byte more": lambda good: good.repack(weights=good.members[WEIGHTS] + b"\0"),
    "weights: a user block": lambda good: good.repack(weights=bytes(512) + good.members[WEIGHTS]),
    "weights: 100 MB more": lambda good: good.repack(weights=good.members[WEIGHTS] + bytes(100_000_000)),
    "weights: the newest format": new_format(libver="latest"),
    "weights: a file by pages": new_format(fs_strategy="page", fs_page_size=4096),
    "weights: a file with a user block": new_format(userblock_size=512),
    "weights: a dataset less": dropped(KERNEL),
    "weights: a layer less": dropped("layers/conv2d_1"),
    "weights: all layers less": dropped("layers"),
    "weights: the optimizer's step less": dropped("optimizer/vars/0"),
    "weights: a momentum less": dropped("optimizer/vars/7"),
    "weights: the root's group less": dropped("vars"),
    "weights: a dataset more": added(f"{GROUP}/1", data=np.zeros(3, "f4")),
    "weights: a dataset more in the root": added("evil", data=np.zeros(3, "f4")),
    "weights: a dataset more beside a layer's": added("layers/conv2d_1/evil", data=np.zeros(3, "f4")),
    "weights: a momentum more": added("optimizer/vars/99", data=np.zeros(3, "f4")),
    "weights: a group more": weights(lambda file: file.create_group("layers/lambda/vars")),
    "weights: an asset": weights(lambda file: file.create_group("assets")),
    "weights: another name": weights(lambda file: file.move(KERNEL, f"{GROUP}/weight")),
    "weights: layers exchanged": weights(
        lambda file: [
            file.move("layers/zero_padding2d", "layers/x"),
            file.move("layers/conv2d_1", "layers/zero_padding2d"),
            file.move("layers/x", "layers/conv2d_1"),
        ]
    ),
    "weights: another shape": instead(data=np.zeros((3, 3, 16, 17), "f4")),
    "weights: a flat shape": instead(data=np.zeros(3 * 3 * 16 * 16, "f4")),
    "weights: one dimension more": instead(data=np.zeros((3, 3, 16, 16, 1), "f4")),
    "weights: a scalar": instead(data=np.float32(1)),
    "weights: an empty dataset": instead(data=h5py.Empty("f4")),
    "weights: no elements": instead(data=np.zeros((0, 3, 16, 16), "f4")),
    "weights: float64": cast("f8"),
    "weights: float16": cast("f2"),
    "weights: big-endian": cast(">f4"),
    "weights: int32": cast("i4"),
    "weights: uint8": cast("u1"),
    "weights: complex": cast("c8"),
    "weights: truth values": cast("?"),
    "weights: a count in float": cast("f4", "layers/normalization/vars/2"),
    "weights: a count in int16": cast("i2", "layers/normalization/vars/2"),
    "weights: a count without sign": cast("u4", "layers/normalization/vars/2"),
    "weights: a count that is big-endian": cast(">i4", "layers/normalization/vars/2"),
    "weights: compound": cast([("a", "f4"), ("b", "f4")]),
    "weights: opaque bytes": cast("V4"),
    "weights: text": weights(strings),
    "weights: text of fixed length": cast("S4"),
    "weights: references": weights(references),
    "weights: an enumeration": instead(data=None, shape=(3, 3, 16, 16), dtype=h5py.enum_dtype({"A": 0})),
    "weights: lists": instead(data=None, shape=(3, 3, 16, 16), dtype=h5py.vlen_dtype("f4")),
    "weights: arrays": instead(data=None, shape=(3, 3, 16, 16), dtype=np.dtype(("f4", (2,)))),
    "weights: chunks": instead(chunks=(3, 3, 16, 16)),
    "weights: many chunks": instead(chunks=(1, 1, 1, 1)),
    "weights: gzip": instead(compression="gzip"),
    "weights: lzf": instead(compression="lzf"),
    "weights: shuffled": instead(chunks=(3, 3, 16, 16), shuffle=True),
    "weights: sums of chunks": instead(chunks=(3, 3, 16, 16), fletcher32=True),
    "weights: scaled": instead(chunks=(3, 3, 16, 16), scaleoffset=3),
    "weights: that can grow": instead(chunks=(3, 3, 16, 16), maxshape=(None, 3, 16, 16)),
    "weights: never written": instead(data=None, shape=(3, 3, 16, 16), dtype="f4"),
    "weights: a bomb of 4 TB": instead(data=None, shape=(2**40,), dtype="f4", chunks=(2**20,), compression="gzip"),
    "weights: a bomb of the right shape and zeros": instead(
        data=np.zeros((3, 3, 16, 16), "f4"), chunks=(3, 3, 16, 16), compression="gzip"
    ),
    "weights: 2 to the 62 elements": instead(data=None, shape=(2**31, 2**31), dtype="i1", chunks=(1024, 1024)),
    "weights: external": instead(
        data=None, shape=(3, 3, 16, 16), dtype="f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    ),
    "weights: virtual": weights(virtual),
    "weights: a soft link": link(h5py.SoftLink("/layers/conv2d_2/vars/0")),
    "weights: a soft link to itself": link(h5py.SoftLink(f"/{KERNEL}")),
    "weights: a soft link to nothing": link(h5py.SoftLink("/nothing")),
    "weights: a soft link in the place of a layer": link(h5py.SoftLink("/layers/conv2d_2"), "layers/conv2d_1"),
    "weights: an external link": link(h5py.ExternalLink("/etc/passwd", "/x")),
    "weights: an external link in the place of a layer": link(h5py.ExternalLink("evil.h5", "/"), "layers/conv2d_1"),
    "weights: an external link in the place of all layers": link(h5py.ExternalLink("evil.h5", "/"), "layers"),
    "weights: two names for one dataset": hard_link("layers/conv2d_2/vars/0", KERNEL),
    "weights: two names for one layer": hard_link("layers/conv2d_2", "layers/conv2d_1"),
    "weights: a group within itself": hard_link("layers", "layers/conv2d_1"),
    "weights: the root in the root": hard_link("/", "layers/conv2d_1"),
    "weights: a group in the place of a dataset": weights(
        lambda file: [file.__delitem__(KERNEL), file.create_group(KERNEL)]
    ),
    "weights: a dataset in the place of a group": link(np.zeros(3, "f4"), GROUP),
    "weights: a type in the place of a dataset": link(np.dtype("f4"), KERNEL),
    "weights: an attribute on a dataset": weights(lambda file: file[KERNEL].attrs.__setitem__("dtype", "bfloat16")),
    "weights: 100 attributes on a dataset": weights(
        lambda file: [file[KERNEL].attrs.__setitem__(f"{number}", number) for number in range(100)]
    ),
    "weights: NaN": value(KERNEL, np.nan),
    "weights: infinity": value(KERNEL, np.inf),
    "weights: NaN in a normalisation": value("layers/batch_normalization_2/vars/2", np.nan),
    "weights: a negative variance": value("layers/batch_normalization_2/vars/3", -1.0),
    "weights: a negative variance of the images": value("layers/normalization/vars/1", -1.0),
    "weights: NaN in the momentum": value("optimizer/vars/5", np.nan),
    "weights: NaN as learning rate": link(np.float32(np.nan), "optimizer/vars/1"),
    "weights: two datasets in one place": moved_in,
    "weights: offsets of 4 bytes": structure(b"\x89HDF", 13, b"\4"),
    "weights: another superblock": structure(b"\x89HDF", 8, b"\2"),
    "weights: a base address": structure(b"\x89HDF", 24, FAR),
    "weights: another end": structure(b"\x89HDF", 40, FAR),
    "weights: a root outside": structure(b"\x89HDF", 64, FAR),
    "weights: a root in the root": structure(b"\x89HDF", 64, struct.pack("<Q", 0)),
    "weights: 65,535 messages": structure(b"\x89HDF", 96 + 2, b"\xff\xff"),
    "weights: a header of 4 GB": structure(b"\x89HDF", 96 + 8, b"\xff\xff\xff\xff"),
    "weights: a tree of 255 levels": structure(b"TREE", 5, b"\xff"),
    "weights: a tree within itself": structure(b"TREE", 32, struct.pack("<Q", 136)),
    "weights: 65,535 branches": structure(b"TREE", 6, b"\xff\xff"),
    "weights: a tree of chunks": structure(b"TREE", 4, b"\1"),
    "weights: a branch outside": structure(b"TREE", 32, FAR),
    "weights: 65,535 links": structure(b"SNOD", 6, b"\xff\xff"),
    "weights: a name outside": structure(b"SNOD", 8, FAR),
    "weights: an object outside": structure(b"SNOD", 16, FAR),
    "weights: a soft link of the old form": structure(b"SNOD", 24, b"\2\0\0\0"),
    "weights: a link of unknown form": structure(b"SNOD", 24, b"\7\0\0\0"),
    "weights: no heap": structure(b"HEAP", 0, b"PAEH"),
    "weights: a heap of 16 EB": structure(b"HEAP", 8, FAR),
    "weights: a header in 10,000 blocks": many_messages,
    "weights: names to the end of the file": wide_heap,
    "weights: a heap outside": structure(b"HEAP", 24, FAR),
}

FILES: dict[str, Maker] = ARCHIVES | METADATAS | CONFIGS | HDF5S

# ----- the file system -----


def unix_socket(path: Path, good: Good) -> None:
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has to be short
    try:
        server.bind(path.name)
    finally:
        os.chdir(here)
        server.close()


def sparse(path: Path, good: Good) -> None:
    with path.open("wb") as file:
        file.write(good.data)
        file.truncate(2 << 30)


def beside(text: bytes) -> Callable[[Path, Good], None]:
    def make(path: Path, good: Good) -> None:
        path.write_bytes(good.data)
        path.with_name("run.json").write_bytes(text)

    return make


def pipe_beside(path: Path, good: Good) -> None:
    path.write_bytes(good.data)
    os.mkfifo(path.with_name("run.json"))


def no_rights(path: Path, good: Good) -> None:
    path.write_bytes(good.data)
    path.chmod(0)


HASH = b'{"files": {"model.keras": {"sha256": %s}}}'
PLACES: dict[str, Callable[[Path, Good], object]] = {
    "nothing": lambda path, good: None,
    "a folder in its place": lambda path, good: path.mkdir(),
    "a pipe": lambda path, good: os.mkfifo(path),
    "a socket": unix_socket,
    "/dev/zero": lambda path, good: path.symlink_to("/dev/zero"),
    "/dev/stdin": lambda path, good: path.symlink_to("/dev/stdin"),
    "/proc/self/mem": lambda path, good: path.symlink_to("/proc/self/mem"),
    "a link to nothing": lambda path, good: path.symlink_to(path.with_name("nothing")),
    "a link to itself": lambda path, good: path.symlink_to(path),
    "2 GB of nothing": sparse,
    "another hash beside it": beside(HASH % (b'"' + b"0" * 64 + b'"')),
    "a hash that is none beside it": beside(HASH % b"7"),
    "a damaged run beside it": beside(b"{"),
    "a run of 100,000 levels beside it": beside(DEEP),
    "a run of 8 MB beside it": beside(b" " * 8_000_000),
    "a pipe beside it": pipe_beside,
}
if os.name == "posix" and os.geteuid():
    PLACES["a file without rights"] = no_rights
