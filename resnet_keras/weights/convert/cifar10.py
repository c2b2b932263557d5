"""Nets of section 4.2 as two PyTorch projects save them, at any depth of 6n + 2.

a-martyn/resnet                    plain and residual, option A; the two have the same tensors
akamaster/pytorch_resnet_cifar10   residual; option A with zeros on both sides of the channels, or option B
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.spec.architecture import Architecture, Shortcut
from resnet_keras.spec.paper_nets import cifar10
from resnet_keras.weights.convert import pytorch_nets
from resnet_keras.weights.convert.pytorch_names import Pair, classes, count, numbered, take
from resnet_keras.weights.convert.shortcuts import has_shortcuts
from resnet_keras.weights.convert.source import Pixels, Source

A_MARTYN, AKAMASTER = "a-martyn/resnet", "akamaster/pytorch_resnet_cifar10"
EPSILON = 1e-5
"""PyTorch's default, which both projects keep."""
A_MARTYN_PIXELS = Pixels(
    mean=(255 * 0.4918687901200927, 255 * 0.49185976472299225, 255 * 0.4918583862227116),
    std=(255 * 0.24697121702736, 255 * 0.24696766978537033, 255 * 0.2469719877121087),
)
IMAGENET_PIXELS = Pixels(mean=(255 * 0.485, 255 * 0.456, 255 * 0.406), std=(255 * 0.229, 255 * 0.224, 255 * 0.225))
"""torchvision's values; akamaster uses them for CIFAR-10 too."""


def is_a_martyn(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether the tensors have the names of a-martyn/resnet."""
    return "convIn.weight" in arrays or "stack1.0.conv1.weight" in arrays


def a_martyn(arrays: Mapping[str, np.ndarray], residual: bool | None) -> Source:
    """Reads a net of a-martyn/resnet.

    Args:
        arrays: its state dict.
        residual: whether the net should have shortcuts; decides where the weights do not tell.

    Raises:
        OSError: a tensor is missing, unknown or of another shape.
        ValueError: neither the weights nor `residual` tell whether the net has shortcuts.
    """
    units = [count(arrays, "stack1"), count(arrays, "stack2b") + 1, count(arrays, "stack3b") + 1]
    architecture = _small(units, "A", classes(arrays, "fcOut", A_MARTYN), A_MARTYN)
    pairs = {"conv1": Pair("convIn", "bnIn")}
    for stage, number, unit in numbered(architecture):
        name = f"stack1.{number}" if stage == 0 else f"stack{stage + 1}{f'b.{number - 1}' if number else 'a'}"
        for index, convolution in enumerate(unit.convolutions, start=1):
            pairs[convolution.name] = Pair(f"{name}.conv{index}", f"{name}.bn{index}")
    taken = take(arrays, architecture, pairs, "fcOut", f"A net of {architecture.depth} layers from {A_MARTYN}")

    found = has_shortcuts(architecture, taken.layers)
    told = "by its moving statistics"
    if found is None and residual is not None:
        found, told = residual, "as requested"
    if found is None:
        plain = replace(architecture, shortcut=None)
        raise InvalidValue(
            f"A net from {A_MARTYN} has the same tensors with and without shortcuts, and these weights do not tell "
            f"which it is. Choose one: --architecture {plain.name} or --architecture {architecture.name}."
        )
    architecture = architecture if found else replace(architecture, shortcut=None)
    forward = partial(pytorch_nets.a_martyn, shortcuts=found)
    return Source(
        A_MARTYN,
        "BSD-3-Clause",
        architecture,
        *taken,
        epsilon=EPSILON,
        pixels=A_MARTYN_PIXELS,
        logits=pytorch_nets.logits_of(forward, arrays, A_MARTYN_PIXELS),
        notes=(f"{'residual' if found else 'plain'} {told}",),
    )


def is_akamaster(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether the tensors have the names and widths of akamaster/pytorch_resnet_cifar10."""
    known = {"conv1.weight": (16, 3, 3, 3), "layer1.0.conv1.weight": (16, 16, 3, 3)}
    return any(name in arrays and arrays[name].shape == shape for name, shape in known.items())


def akamaster(arrays: Mapping[str, np.ndarray]) -> Source:
    """Reads a net of akamaster/pytorch_resnet_cifar10.

    Raises:
        OSError: a tensor is missing, unknown or of another shape.
    """
    units = [count(arrays, f"layer{stage}") for stage in (1, 2, 3)]
    option: Shortcut = "B" if any(".shortcut." in name for name in arrays) else "A"
    architecture = _small(units, option, classes(arrays, "linear", AKAMASTER), AKAMASTER)
    pairs = {"conv1": Pair("conv1", "bn1")}
    for stage, number, unit in numbered(architecture):
        name = f"layer{stage + 1}.{number}"
        for index, convolution in enumerate(unit.convolutions, start=1):
            pairs[convolution.name] = Pair(f"{name}.conv{index}", f"{name}.bn{index}")
        if unit.projection:
            pairs[unit.projection.name] = Pair(f"{name}.shortcut.0", f"{name}.shortcut.1")
    taken = take(arrays, architecture, pairs, "linear", f"{architecture.name} from {AKAMASTER}")
    return Source(
        AKAMASTER,
        "BSD-2-Clause",
        architecture,
        *taken,
        epsilon=EPSILON,
        pixels=IMAGENET_PIXELS,
        logits=pytorch_nets.logits_of(pytorch_nets.akamaster, arrays, IMAGENET_PIXELS),
        zeros="around" if option == "A" else "after",
    )


def _small(units: list[int], shortcut: Shortcut, num_classes: int, project: str) -> Architecture:
    """The net of section 4.2 with the given numbers of units per stage, and one mean per channel."""
    if len(set(units)) != 1 or not units[0]:
        raise InputOutput(
            f"A net from {project} has n units in each of 3 stages. Received: {', '.join(map(str, units))}."
        )
    return replace(cifar10(6 * units[0] + 2, shortcut, num_classes), mean="channel")
