"""Nets of Table 1 as torchvision, timm and transformers save them: option B, the stride of a bottleneck in its 3x3.

torchvision and timm use the same names. timm's variants with a changed stem, shortcut or attention use others and are
refused; ResNeXt and wide nets are refused by their shapes.
"""

from collections.abc import Mapping

import numpy as np

from resnet_keras.errors import InputOutput
from resnet_keras.spec.architecture import Architecture, StrideIn, UnitKind
from resnet_keras.spec.paper_nets import IMAGENET_UNITS, imagenet
from resnet_keras.weights.convert import pytorch_nets
from resnet_keras.weights.convert.cifar10 import EPSILON, IMAGENET_PIXELS
from resnet_keras.weights.convert.pytorch_names import Pair, classes, count, numbered, take
from resnet_keras.weights.convert.source import Source

TORCHVISION, TRANSFORMERS = "torchvision or timm", "transformers"


def is_torchvision(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether the tensors have the names of torchvision and timm: four stages after a 7x7 convolution."""
    stem = arrays.get("conv1.weight")
    return stem is not None and stem.shape[2:] == (7, 7) and "layer4.0.conv1.weight" in arrays


def torchvision(arrays: Mapping[str, np.ndarray]) -> Source:
    """Reads a net of torchvision or timm.

    Raises:
        OSError: a tensor is missing, unknown or of another shape, or Table 1 has no such net.
    """
    kind: UnitKind = "bottleneck" if "layer1.0.conv3.weight" in arrays else "basic"
    units = [count(arrays, f"layer{stage}") for stage in (1, 2, 3, 4)]
    architecture = of_table_1(kind, units, classes(arrays, "fc", TORCHVISION), "3x3", TORCHVISION)
    pairs = {"conv1": Pair("conv1", "bn1")}
    for stage, number, unit in numbered(architecture):
        name = f"layer{stage + 1}.{number}"
        for index, convolution in enumerate(unit.convolutions, start=1):
            pairs[convolution.name] = Pair(f"{name}.conv{index}", f"{name}.bn{index}")
        if unit.projection:
            pairs[unit.projection.name] = Pair(f"{name}.downsample.0", f"{name}.downsample.1")
    taken = take(arrays, architecture, pairs, "fc", f"{architecture.name} from {TORCHVISION}")
    return Source(
        TORCHVISION,
        None,
        architecture,
        *taken,
        epsilon=EPSILON,
        pixels=IMAGENET_PIXELS,
        logits=pytorch_nets.logits_of(pytorch_nets.torchvision, arrays, IMAGENET_PIXELS),
    )


def is_transformers(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether the tensors have the names of transformers' `ResNetForImageClassification`."""
    return any(name.startswith(("resnet.embedder.", "resnet.encoder.stages.")) for name in arrays)


def transformers(arrays: Mapping[str, np.ndarray]) -> Source:
    """Reads a `ResNetForImageClassification`, with `downsample_in_bottleneck=False` as in the released nets.

    Raises:
        OSError: a tensor is missing, unknown or of another shape, or Table 1 has no such net.
    """
    stages = [f"resnet.encoder.stages.{stage}.layers" for stage in range(4)]
    kind: UnitKind = "bottleneck" if count(arrays, f"{stages[0]}.0.layer") == 3 else "basic"
    units = [count(arrays, stage) for stage in stages]
    num_classes = classes(arrays, "classifier.1", TRANSFORMERS)
    architecture = of_table_1(kind, units, num_classes, "3x3", TRANSFORMERS)
    pairs = {"conv1": _layer("resnet.embedder.embedder")}
    for stage, number, unit in numbered(architecture):
        name = f"{stages[stage]}.{number}"
        for index, convolution in enumerate(unit.convolutions):
            pairs[convolution.name] = _layer(f"{name}.layer.{index}")
        if unit.projection:
            pairs[unit.projection.name] = _layer(f"{name}.shortcut")
    taken = take(arrays, architecture, pairs, "classifier.1", f"{architecture.name} from {TRANSFORMERS}")
    return Source(
        TRANSFORMERS,
        None,
        architecture,
        *taken,
        epsilon=EPSILON,
        pixels=IMAGENET_PIXELS,
        logits=pytorch_nets.logits_of(pytorch_nets.transformers, arrays, IMAGENET_PIXELS),
        notes=()
        if kind == "basic"
        else ("downsample_in_bottleneck taken as False: it leaves no trace in the tensors",),
    )


def _layer(name: str) -> Pair:
    return Pair(f"{name}.convolution", f"{name}.normalization")


def of_table_1(kind: UnitKind, units: list[int], num_classes: int, stride_in: StrideIn, project: str) -> Architecture:
    """The net of Table 1 with the given numbers of units per stage, and option B.

    Raises:
        OSError: Table 1 has no such net.
    """
    for depth, row in IMAGENET_UNITS.items():
        if row == (kind, tuple(units)):
            return imagenet(depth, "B", num_classes, stride_in)
    raise InputOutput(
        f"A {project} net is one of the nets in Table 1: {', '.join(map(str, IMAGENET_UNITS))} layers. Received: "
        f"{', '.join(map(str, units))} {kind} units per stage."
    )
