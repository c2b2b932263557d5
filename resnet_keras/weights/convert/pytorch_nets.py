"""The forward passes of other projects' nets in PyTorch, written from their code and using nothing of ours.

Each takes a state dict's tensors and images as the project prepares them, (batch, 3, size, size), and returns logits.
"""

import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from resnet_keras.weights.convert.source import Logits, Pixels

Tensor = Any
"""A `torch.Tensor`; not named as one because PyTorch may not be installed."""
State = Mapping[str, Tensor]
BATCH = 50
"""Images per batch."""


def logits_of(
    forward: Callable[[State, Tensor], Tensor], arrays: Mapping[str, np.ndarray], pixels: Pixels
) -> Logits | None:
    """A forward pass with a file's tensors, or None where PyTorch is not installed."""
    if find_spec("torch") is None:
        return None

    def logits(images: np.ndarray) -> np.ndarray:
        import torch

        state = {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items()}
        outputs = []
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                x = pixels.of(images[start : start + BATCH]).transpose(0, 3, 1, 2)
                outputs.append(forward(state, torch.from_numpy(np.ascontiguousarray(x))).numpy())
        return np.concatenate(outputs)

    return logits


def a_martyn(state: State, x: Tensor, *, shortcuts: bool) -> Tensor:
    """resnet.py of a-martyn/resnet: `ResNet(n, shortcuts)`."""
    import torch

    def block(x: Tensor, name: str, subsample: bool) -> Tensor:
        z = _conv_bn(state, x, f"{name}.conv1", f"{name}.bn1", 2 if subsample else 1).relu()
        z = _conv_bn(state, z, f"{name}.conv2", f"{name}.bn2")
        if shortcuts:
            d = torch.nn.functional.avg_pool2d(x, 1, stride=2) if subsample else x
            z = z + (torch.cat((d, torch.zeros_like(d)), dim=1) if subsample else d)
        return z.relu()

    z = _conv_bn(state, x, "convIn", "bnIn").relu()
    for stack, subsample in (("stack1", False), ("stack2a", True), ("stack2b", False), ("stack3a", True),
                             ("stack3b", False)):  # fmt: skip
        if subsample:
            z = block(z, stack, True)
        else:
            for name in _parts(state, stack):
                z = block(z, name, False)
    return _linear(state, z.mean((2, 3)), "fcOut")


def akamaster(state: State, x: Tensor) -> Tensor:
    """resnet.py of akamaster/pytorch_resnet_cifar10: `ResNet(BasicBlock, [n, n, n])`, option A or B."""
    import torch

    out = _conv_bn(state, x, "conv1", "bn1").relu()
    for layer, first in (("layer1", 1), ("layer2", 2), ("layer3", 2)):
        for number, name in enumerate(_parts(state, layer)):
            stride = first if number == 0 else 1
            inner = _conv_bn(state, out, f"{name}.conv1", f"{name}.bn1", stride).relu()
            inner = _conv_bn(state, inner, f"{name}.conv2", f"{name}.bn2")
            if f"{name}.shortcut.0.weight" in state:
                out = _conv_bn(state, out, f"{name}.shortcut.0", f"{name}.shortcut.1", stride)
            elif stride == 2:
                planes = inner.shape[1]
                out = torch.nn.functional.pad(out[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4))
            out = (inner + out).relu()
    return _linear(state, out.mean((2, 3)), "linear")


def torchvision(state: State, x: Tensor) -> Tensor:
    """torchvision/models/resnet.py: BasicBlock and Bottleneck, whose stride is in the 3x3."""
    import torch

    x = _conv_bn(state, x, "conv1", "bn1", 2).relu()
    x = torch.nn.functional.max_pool2d(x, 3, stride=2, padding=1)
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        for number, name in enumerate(_parts(state, layer)):
            stride = 2 if number == 0 and layer != "layer1" else 1
            bottleneck = f"{name}.conv3.weight" in state
            out = _conv_bn(state, x, f"{name}.conv1", f"{name}.bn1", 1 if bottleneck else stride).relu()
            out = _conv_bn(state, out, f"{name}.conv2", f"{name}.bn2", stride if bottleneck else 1)
            if bottleneck:
                out = _conv_bn(state, out.relu(), f"{name}.conv3", f"{name}.bn3")
            if f"{name}.downsample.0.weight" in state:
                x = _conv_bn(state, x, f"{name}.downsample.0", f"{name}.downsample.1", stride)
            x = (out + x).relu()
    return _linear(state, x.mean((2, 3)), "fc")


def transformers(state: State, x: Tensor) -> Tensor:
    """modeling_resnet.py of transformers: `ResNetForImageClassification`, `downsample_in_bottleneck=False`."""
    import torch

    def layer(x: Tensor, name: str, stride: int = 1) -> Tensor:
        return _conv_bn(state, x, f"{name}.convolution", f"{name}.normalization", stride)

    x = layer(x, "resnet.embedder.embedder", 2).relu()
    x = torch.nn.functional.max_pool2d(x, 3, stride=2, padding=1)
    for number, stage in enumerate(_parts(state, "resnet.encoder.stages")):
        for position, name in enumerate(_parts(state, f"{stage}.layers")):
            stride = 2 if position == 0 and number > 0 else 1
            inner = list(_parts(state, f"{name}.layer"))
            strides = [1] * len(inner)
            strides[1 if len(inner) == 3 else 0] = stride
            out = x
            for index, (part, own) in enumerate(zip(inner, strides, strict=True)):
                out = layer(out, part, own)
                out = out.relu() if index < len(inner) - 1 else out
            if f"{name}.shortcut.convolution.weight" in state:
                x = layer(x, f"{name}.shortcut", stride)
            x = (out + x).relu()
    return _linear(state, x.mean((2, 3)), "classifier.1")


def caffe(state: State, x: Tensor) -> Tensor:
    """The prototxt files of KaimingHe/deep-residual-networks, layer by layer."""
    import torch

    def layer(x: Tensor, name: str, stride: int = 1) -> Tensor:
        norm, scale = (f"{kind}{name.removeprefix('res')}" for kind in ("bn", "scale"))
        if name == "conv1":
            norm, scale = "bn_conv1", "scale_conv1"
        kernel, bias = state[f"{name}/0"], state.get(f"{name}/1")
        x = torch.nn.functional.conv2d(x, kernel, bias, stride=stride, padding=kernel.shape[-1] // 2)
        mean, variance, divisor = (state[f"{norm}/{part}"] for part in (0, 1, 2))
        factor = 0 if divisor.item() == 0 else 1 / divisor.item()
        gamma, beta = state[f"{scale}/0"], state[f"{scale}/1"]
        return torch.nn.functional.batch_norm(x, mean * factor, variance * factor, gamma, beta, eps=1e-5)

    x = layer(x, "conv1", 2).relu()
    x = torch.nn.functional.max_pool2d(x, 3, stride=2, ceil_mode=True)
    found = (re.fullmatch(r"res(\d)([a-z])(\d*)_branch2a/0", name) for name in state)
    units = sorted((int(one[1]), one[2], int(one[3] or 0), one[0].split("_")[0]) for one in found if one)
    for stage, letter, _, name in units:
        stride = 2 if letter == "a" and stage > 2 else 1
        out = layer(x, f"{name}_branch2a", stride).relu()
        out = layer(out, f"{name}_branch2b").relu()
        out = layer(out, f"{name}_branch2c")
        x = layer(x, f"{name}_branch1", stride) if f"{name}_branch1/0" in state else x
        x = (x + out).relu()
    return x.mean((2, 3)) @ state["fc1000/0"].T + state["fc1000/1"]


def _conv_bn(state: State, x: Tensor, convolution: str, norm: str, stride: int = 1) -> Tensor:
    import torch

    kernel = state[f"{convolution}.weight"]
    x = torch.nn.functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
    mean, variance, weight, bias = (
        state[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
    )
    return torch.nn.functional.batch_norm(x, mean, variance, weight, bias, eps=1e-5)


def _linear(state: State, x: Tensor, name: str) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def _parts(state: State, prefix: str) -> list[str]:
    """The numbered parts `<prefix>.0`, `<prefix>.1`, ... that have tensors."""
    numbers = {name[len(prefix) + 1 :].split(".")[0] for name in state if name.startswith(f"{prefix}.")}
    return [f"{prefix}.{number}" for number in sorted(map(int, numbers))]
