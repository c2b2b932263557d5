"""PyTorch files: the state dict of a net, extracted from what a training program saved with it."""

import re
import warnings
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np

from resnet_keras.weights.convert.limits import Numbers, Unreadable, first_line, listed, need, shown

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net")
"""Names under which training programs keep a net's tensors, beside the optimizer state."""
_REFUSED = re.compile(r"GLOBAL ([\w.]+)|class ([\w.]+\.[\w.]+)")


def read(data: bytes) -> tuple[dict[str, np.ndarray], list[str]]:
    """The tensors by name, and notes.

    Only `torch.load(weights_only=True)` touches the pickle: it runs no code from the file.

    Raises:
        Unreadable: there is no state dict, the file is damaged, its pickle names code, or NumPy cannot hold a tensor.
        ValueError: PyTorch is not installed.
    """
    need("torch", "A PyTorch file", "torch")
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of another protocol: they are read or refused
            loaded = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and PyTorch each raise their own
        raise Unreadable(_reason(error)) from None
    state, notes = _unwrapped(loaded, torch.Tensor)
    numbers, named = Numbers(), {}
    for name, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise Unreadable(f"{shown(name)} is sparse or quantised, or holds no numbers")
        numbers.add(tensor.shape)
        tensor = tensor.detach()
        if tensor.dtype == torch.bfloat16:  # NumPy has no bfloat16
            tensor = tensor.float()
            notes.append("bfloat16 widened to float32")
        try:
            named[name] = tensor.numpy()
        except (RuntimeError, TypeError):
            raise Unreadable(f"{shown(name)} has the type {tensor.dtype}, which cannot be read") from None
    return named, list(dict.fromkeys(notes))


def _reason(error: Exception) -> str:
    text = str(error)
    if "TorchScript" in text:
        return "it is a TorchScript program; save the module's state_dict instead"
    if code := _REFUSED.search(text):
        return f"its pickle names {code[1] or code[2]}, and no code from a file is run; save the bare state_dict"
    if "Weights only load failed" in text:
        text = next((line for line in text.splitlines() if "Error" in line or "error" in line), text)
        return f"its pickle holds more than tensors, or is damaged ({first_line(ValueError(text))})"
    return f"PyTorch reports that it is truncated or damaged ({first_line(error)})"


def _unwrapped(loaded: Any, tensor: type) -> tuple[dict[str, Any], list[str]]:
    notes = []
    for _ in WRAPPERS:
        names = [name for name in WRAPPERS if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping)]
        if not names:
            break
        rest = sorted(str(name) for name in loaded if name != names[0])
        notes.append(f"unwrapped from {names[0]!r}" + (f", beside {listed(rest)}" if rest else ""))
        loaded = loaded[names[0]]
    if not isinstance(loaded, Mapping) or not any(isinstance(value, tensor) for value in loaded.values()):
        raise Unreadable(f"it holds a value of type {type(loaded).__name__}, not a state_dict")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, tensor):
            raise Unreadable(f"{shown(name)} is not a tensor but a value of type {type(value).__name__}")
    return dict(loaded), notes
