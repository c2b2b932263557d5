"""ResNets of KerasHub, `keras_hub.models.ResNetImageClassifier`: timm's nets under Keras's names.

They have option B, the stride of a bottleneck in its 3x3, and convolutions without biases.
"""

from collections.abc import Mapping

import numpy as np

from resnet_keras.errors import InputOutput
from resnet_keras.spec.architecture import UnitKind
from resnet_keras.weights.convert import pytorch_nets
from resnet_keras.weights.convert.cifar10 import EPSILON, IMAGENET_PIXELS
from resnet_keras.weights.convert.pytorch_names import numbered
from resnet_keras.weights.convert.source import ConvBN, Source, check_names
from resnet_keras.weights.convert.torchvision import of_table_1

PROJECT = "KerasHub"
DENSE = "predictions"
_NORM = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}
_PYTORCH_NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
_PIXELS = (
    "mean and standard deviation taken: torchvision's of ImageNet, as timm has them; the file does not hold its own"
)


def is_keras_hub(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether the arrays have the layer names of KerasHub's ResNets."""
    return any(name.startswith("stack0_block0_") for name in arrays)


def keras_hub(arrays: Mapping[str, np.ndarray]) -> Source:
    """Reads a `ResNetImageClassifier`.

    Args:
        arrays: the weights by "layer/kernel", "layer/gamma", ...

    Raises:
        OSError: an array is missing, unknown or of another shape, the file holds a ResNetV2 or a backbone without its
            classifier, or Table 1 has no such net.
    """
    if any("pre_activation" in name or name.startswith("post_bn") for name in arrays):
        raise InputOutput(
            f"A {PROJECT} net is one of the nets in Table 1. Received: a ResNetV2, which is a different net."
        )
    bias = arrays.get(f"{DENSE}/bias")
    if bias is None or bias.ndim != 1 or bias.size < 2:
        found = "none" if bias is None else f"the shape {bias.shape}"
        raise InputOutput(
            f"A {PROJECT} net ends in a dense layer of two or more classes, {DENSE}/bias. Received: {found}. "
            "Save the ResNetImageClassifier, not its backbone."
        )
    kind: UnitKind = "bottleneck" if "stack0_block0_3_conv/kernel" in arrays else "basic"
    units = [sum(_is_first(name, f"stack{stage}_block") for name in arrays) for stage in range(4)]
    architecture = of_table_1(kind, units, bias.size, "3x3", PROJECT)
    names, pytorch = {"conv1": "conv1"}, {"conv1": ("conv1", "bn1")}
    for stage, number, unit in numbered(architecture):
        theirs, other = f"stack{stage}_block{number}", f"layer{stage + 1}.{number}"
        for index, convolution in enumerate(unit.convolutions, start=1):
            names[convolution.name] = f"{theirs}_{index}"
            pytorch[convolution.name] = (f"{other}.conv{index}", f"{other}.bn{index}")
        if unit.projection:
            names[unit.projection.name] = f"{theirs}_0"
            pytorch[unit.projection.name] = (f"{other}.downsample.0", f"{other}.downsample.1")

    shapes: dict[str, tuple[int, ...]] = {}
    for convolution in architecture.convolutions():
        own, size, filters = names[convolution.name], convolution.kernel_size, convolution.filters
        shapes[f"{own}_conv/kernel"] = (size, size, convolution.filters_in, filters)
        shapes |= {f"{own}_bn/{part}": (filters,) for part in _NORM.values()}
    features = list(architecture.units())[-1].filters
    shapes |= {f"{DENSE}/kernel": (features, bias.size), f"{DENSE}/bias": (bias.size,)}
    check_names(arrays, shapes, f"{architecture.name} from {PROJECT}")
    layers = {
        ours: ConvBN(arrays[f"{own}_conv/kernel"], **{part: arrays[f"{own}_bn/{_NORM[part]}"] for part in _NORM})
        for ours, own in names.items()
    }
    # The same net under timm's names, for the comparison.
    state = {"fc.weight": arrays[f"{DENSE}/kernel"].T, "fc.bias": bias}
    for ours, (convolution_name, norm) in pytorch.items():
        state[f"{convolution_name}.weight"] = layers[ours].kernel.transpose(3, 2, 0, 1)
        state |= {f"{norm}.{name}": getattr(layers[ours], part) for part, name in _PYTORCH_NORM.items()}
    return Source(
        PROJECT,
        None,
        architecture,
        layers,
        arrays[f"{DENSE}/kernel"],
        bias,
        epsilon=EPSILON,
        pixels=IMAGENET_PIXELS,
        logits=pytorch_nets.logits_of(pytorch_nets.torchvision, state, IMAGENET_PIXELS),
        notes=(_PIXELS,),
    )


def _is_first(name: str, prefix: str) -> bool:
    """Whether an array is the kernel of the first convolution of a unit."""
    number = name.removeprefix(prefix).removesuffix("_1_conv/kernel")
    return name.startswith(prefix) and number.isdecimal()
