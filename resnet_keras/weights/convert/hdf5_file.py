"""Keras's HDF5 files: each layer's weights by the layer's name, from the three layouts that Keras has written.

conv1_conv/conv1_conv/kernel:0               weights of Keras 2, as keras.applications distributes them
model_weights/conv1_conv/conv1_conv/kernel   a whole model in one .h5
layers/conv2d/vars/0                         Keras 3; the group `vars` has the layer's name as an attribute
"""

from io import BytesIO
from typing import Any

import numpy as np

from resnet_keras.weights.convert.limits import Numbers, Unreadable, first_line, need, shown

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_KERNEL, _NORM = ("kernel", "bias"), ("gamma", "beta", "moving_mean", "moving_variance")
_SKIPPED = ("optimizer", "optimizer_weights", "top_level_model_weights")
_MOST_NODES = 1 << 16


def read(data: bytes) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays, by "layer/kernel", "layer/gamma", ..., and notes.

    Raises:
        Unreadable: the file is damaged, has another layout, keeps data in another file, or holds too much.
        ValueError: h5py is not installed.
    """
    need("h5py", "An HDF5 file", "convert")
    import h5py

    notes = []
    try:
        with h5py.File(BytesIO(data), "r") as file:
            found: list[tuple[str, Any]] = []

            def visit(path: str, node: Any) -> None:
                if isinstance(node, h5py.Dataset):
                    found.append((path, node))
                if len(found) > _MOST_NODES:
                    raise Unreadable(f"it holds more than {_MOST_NODES:,} arrays")

            file.visititems(visit)
            if any(path.startswith(_SKIPPED) for path, _ in found):
                notes.append("left out: the optimiser's state")
            kept = [(path, node) for path, node in found if not path.startswith(_SKIPPED)]
            numbers = Numbers()
            for path, node in kept:
                if node.external or node.is_virtual:
                    raise Unreadable(f"{shown(path)} is stored in another file")
                numbers.add(node.shape or ())
            return _named(kept), notes
    except Unreadable:
        raise
    except Exception as error:  # libhdf5's errors can be of any class
        raise Unreadable(f"HDF5 reports that it is truncated or damaged ({first_line(error)})") from None


def _named(found: list[tuple[str, Any]]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for path, node in found:
        *_, group, last = ["", *path.split("/")]
        if group == "vars" and last.isdecimal():
            if "name" not in node.parent.attrs:
                raise Unreadable(f"{shown(path)} does not say which layer it belongs to")
            layer = str(node.parent.attrs["name"])
            names = _KERNEL if node.parent["0"].ndim > 1 else _NORM
            last = names[int(last)] if int(last) < len(names) else last
        else:
            layer, last = group, last.removesuffix(":0")
        name = f"{layer}/{last}"
        if name in arrays:
            raise Unreadable(f"{shown(name)} occurs twice")
        arrays[name] = np.asarray(node[()])
    return arrays
