"""ResNet-50, 101 and 152 as the paper's authors released them, for Caffe: KaimingHe/deep-residual-networks.

The stride of a bottleneck is in its first 1x1, the max pool is not padded but rounds its output size up, and images are
BGR with the mean subtracted. A batch normalisation is two layers: one holds the mean, the variance and a number by
which both are divided, the other gamma and beta. The first convolution of ResNet-50 has a bias.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from resnet_keras.errors import InputOutput
from resnet_keras.spec.architecture import Architecture
from resnet_keras.spec.network import CHANNELS
from resnet_keras.spec.paper_nets import IMAGENET_UNITS, imagenet
from resnet_keras.weights.convert import pytorch_nets, tensors
from resnet_keras.weights.convert.limits import shown
from resnet_keras.weights.convert.pytorch_names import numbered
from resnet_keras.weights.convert.source import ConvBN, Pixels, Source, check_names

CAFFE = "KaimingHe/deep-residual-networks (Caffe)"
MEAN_BGR = (103.062623801, 115.902882574, 123.151630838)
"""Averages of the released mean image, ResNet_mean.binaryproto, as ports of these nets use them."""
EPSILON = 1e-5
"""Caffe's default, which the released nets keep."""
DENSE = "fc1000"


@dataclass(frozen=True)
class MeanImage:
    """A mean image, which is subtracted from every image.

    Attributes:
        name: name of the file.
        pixels: (size, size, 3), BGR.
    """

    name: str
    pixels: np.ndarray


@dataclass(frozen=True)
class _Names:
    """Caffe's names for a convolution and for the two layers of its batch normalisation."""

    convolution: str
    norm: str
    scale: str


def read_mean(path: Path) -> MeanImage:
    """Reads a mean image as Caffe writes it, a `.binaryproto`.

    Raises:
        OSError: the file is missing or damaged, or holds something else.
    """
    blob = tensors.read_blob(path)
    shape = blob.shape[1:] if blob.ndim == 4 and len(blob) == 1 else blob.shape
    if len(shape) != 3 or shape[0] != CHANNELS or blob.min() < 0 or blob.max() > 255:
        raise InputOutput(
            f"A mean image has the shape (3, height, width) and values from 0 to 255. Received: {path} of shape "
            f"{shown(blob.shape)}, with values from {blob.min():.4g} to {blob.max():.4g}."
        )
    return MeanImage(path.name, blob.reshape(shape).transpose(1, 2, 0))


def is_caffe(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether the arrays have the names of the released nets."""
    return any(name in arrays for name in ("res2a_branch1/0", "res2a_branch2a/0"))


def caffe(arrays: Mapping[str, np.ndarray], mean: MeanImage | None = None) -> Source:
    """Reads a released net.

    Args:
        arrays: the blobs by "layer/number of the blob".
        mean: subtracted in place of `MEAN_BGR`.

    Raises:
        OSError: an array is missing, unknown or of another shape, or the paper's authors released no such net.
    """
    units = [_units(arrays, stage) for stage in (2, 3, 4, 5)]
    depths = [depth for depth, row in IMAGENET_UNITS.items() if row == ("bottleneck", tuple(units))]
    if not depths:
        raise InputOutput(
            f"A net from {CAFFE} is ResNet-50, ResNet-101 or ResNet-152. "
            f"Received: {', '.join(map(str, units))} units per stage."
        )
    bias = arrays.get(f"{DENSE}/1")
    if bias is None or bias.size < 2:
        found = "none" if bias is None else f"{bias.size}"
        raise InputOutput(
            f"A net from {CAFFE} ends in a dense layer of two or more classes, {DENSE}/1. Received: {found}."
        )
    return of(imagenet(depths[0], "B", bias.size), arrays, mean)


def of(architecture: Architecture, arrays: Mapping[str, np.ndarray], mean: MeanImage | None = None) -> Source:
    """Reads a net of this architecture, apart from its pool and its mean, under the names of the released nets.

    Raises:
        OSError: an array is missing, unknown or of another shape.
    """
    architecture = replace(architecture, stem=replace(architecture.stem, pool_padding="end"))
    names = _names(architecture, arrays)
    shapes: dict[str, tuple[int, ...]] = {}
    for convolution in architecture.convolutions():
        own, filters = names[convolution.name], (convolution.filters,)
        size = convolution.kernel_size
        shapes[f"{own.convolution}/0"] = (*filters, convolution.filters_in, size, size)
        if f"{own.convolution}/1" in arrays:
            shapes[f"{own.convolution}/1"] = filters
        shapes |= {f"{own.norm}/{part}": shape for part, shape in enumerate((filters, filters, (1,)))}
        shapes |= {f"{own.scale}/{part}": filters for part in (0, 1)}
    features = [unit.filters for unit in architecture.units()][-1]
    shapes[f"{DENSE}/0"] = (architecture.num_classes, features)
    shapes[f"{DENSE}/1"] = (architecture.num_classes,)
    arrays = {name: _short(array, shapes.get(name)) for name, array in arrays.items()}
    check_names(arrays, shapes, f"{architecture.name} from {CAFFE}")

    pixels, note = _pixels(mean, architecture.image_size)
    if pixels.mean_image is not None:
        architecture = replace(architecture, mean="pixel")
    return Source(
        CAFFE,
        None,
        architecture,
        {name: _conv_bn(arrays, own) for name, own in names.items()},
        arrays[f"{DENSE}/0"].T,
        arrays[f"{DENSE}/1"],
        epsilon=EPSILON,
        pixels=pixels,
        logits=pytorch_nets.logits_of(pytorch_nets.caffe, arrays, pixels),
        notes=(note,),
    )


def _pixels(mean: MeanImage | None, size: int) -> tuple[Pixels, str]:
    """How an image of `size` pixels is prepared, and a note on it."""
    if mean is None:
        listed = ", ".join(f"{number:.2f}" for number in MEAN_BGR)
        return Pixels(MEAN_BGR, channels="BGR"), (
            f"mean taken: {listed} (BGR), the averages of the released mean image; none was given"
        )
    blue, green, red = mean.pixels.mean((0, 1), dtype=np.float64).tolist()
    height, width, _ = mean.pixels.shape
    if (height, width) == (size, size):
        pixels = Pixels((blue, green, red), channels="BGR", mean_image=mean.pixels)
        return pixels, f"mean taken: that of each pixel in {mean.name}"
    return Pixels(
        (blue, green, red), channels="BGR"
    ), f"mean taken: the averages of {mean.name}, {width} x {height} pixels"


def _unit(arrays: Mapping[str, np.ndarray], stage: int, number: int) -> str:
    """Caffe's name for a unit: 2a, 2b, 2c; in the long stages of the deeper nets 3a, 3b1, 3b2, ..."""
    if number and f"res{stage}b1_branch2a/0" in arrays:
        return f"{stage}b{number}"
    return f"{stage}{chr(ord('a') + number)}"


def _units(arrays: Mapping[str, np.ndarray], stage: int) -> int:
    """The number of consecutive units in a stage."""
    return next(number for number in count() if f"res{_unit(arrays, stage, number)}_branch2a/0" not in arrays)


def _names(architecture: Architecture, arrays: Mapping[str, np.ndarray]) -> dict[str, _Names]:
    """Caffe's names by the names of our convolutions."""
    names = {architecture.stem_convolution.name: _Names("conv1", "bn_conv1", "scale_conv1")}
    for stage, number, unit in numbered(architecture):
        own = _unit(arrays, stage + 2, number)
        branches = {
            convolution.name: f"{own}_branch2{letter}"
            for convolution, letter in zip(unit.convolutions, "abc", strict=True)
        }
        if unit.projection:
            branches[unit.projection.name] = f"{own}_branch1"
        names |= {ours: _Names(f"res{branch}", f"bn{branch}", f"scale{branch}") for ours, branch in branches.items()}
    return names


def _short(array: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    """The blob in its expected shape, where it has that shape extended to four axes: older Caffe knew no fewer."""
    if shape is not None and array.shape == (1,) * (4 - len(shape)) + shape:
        return array.reshape(shape)
    return array


def _conv_bn(arrays: Mapping[str, np.ndarray], own: _Names) -> ConvBN:
    divisor = float(arrays[f"{own.norm}/2"][0])
    factor = 1 / divisor if divisor else 0.0  # as in Caffe
    if not np.isfinite(np.float32(factor)):
        raise InputOutput(
            f"Mean and variance are divided by {own.norm}/2. Received: {divisor:.3g}, which is too small."
        )
    return ConvBN(
        arrays[f"{own.convolution}/0"].transpose(2, 3, 1, 0),
        gamma=arrays[f"{own.scale}/0"],
        beta=arrays[f"{own.scale}/1"],
        mean=arrays[f"{own.norm}/0"] * factor,
        variance=arrays[f"{own.norm}/1"] * factor,
        bias=arrays.get(f"{own.convolution}/1"),
    )
