"""`convert`: turns a weights file of another project into a `model.keras` of ours, and reports how close it is."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.nets.blocks import BATCH_NORM_EPSILON
from resnet_keras.spec.architecture import Architecture
from resnet_keras.weights.convert import caffe, cifar10, keras_applications, keras_hub, parity, tensors, torchvision
from resnet_keras.weights.convert.build_from import build_from
from resnet_keras.weights.convert.limits import listed
from resnet_keras.weights.convert.parity import Parity
from resnet_keras.weights.convert.source import Source
from resnet_keras.weights.convert.tensors import Tensors
from resnet_keras.weights.save import save

_NAME = re.compile(r"(plain|resnet)-?(\d{1,5})(?:[ -]?([ABC]))?", re.IGNORECASE)
NOISE_IMAGES = {True: 100, False: 10}
"""Number of noise images compared where no images are given: for nets of small images (True), and for others."""


@dataclass(frozen=True)
class Asked:
    """The net that a file should hold, parsed from its name.

    Attributes:
        residual: False for a plain net.
        depth: weighted layers.
        option: shortcut option; None accepts any.
    """

    residual: bool
    depth: int
    option: str | None

    @classmethod
    def parse(cls, name: str) -> "Asked":
        """Parses "plain-20", "ResNet-20" or "ResNet-50 B"; case and the hyphen do not matter.

        Raises:
            ValueError: the name has another form.
        """
        if not (found := _NAME.fullmatch(name.strip())):
            raise InvalidValue(f'An architecture has a name like "plain-20" or "ResNet-50". Received: {name[:80]!r}.')
        return cls(found[1].lower() == "resnet", int(found[2]), found[3] and found[3].upper())

    def is_name_of(self, net: Architecture) -> bool:
        """Whether a net may be called by this name."""
        same = (self.residual, self.depth) == (net.shortcut is not None, net.depth)
        return same and self.option in (None, net.shortcut)


@dataclass(frozen=True)
class Report:
    """What was converted, and how close the result is.

    Attributes:
        source: the project whose format the file has.
        architecture: our architecture for the net.
        licence: of the project's released weights, if known.
        file: kind and SHA-256 of the file.
        parity: our net compared with the source's own computation; None where that was not available.
        preprocessing: what the source does to an image, which the net now does itself.
        folded: what was folded into which weights.
        notes: what else was done.
    """

    source: str
    architecture: Architecture
    licence: str | None
    file: Tensors
    parity: Parity | None
    preprocessing: Mapping[str, Any]
    folded: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as values that JSON can hold."""
        compared = asdict(self.parity) if self.parity else {"images": 0, "compared": NOT_COMPARED}
        return {
            "source": self.source,
            "architecture": self.architecture.name,
            "depth": self.architecture.depth,
            "parameters": self.architecture.parameters,
            "num_classes": self.architecture.num_classes,
            "image_size": self.architecture.image_size,
            "kind": self.file.kind,
            "sha256": self.file.sha256,
            "licence": self.licence,
            **compared,
            "preprocessing": dict(self.preprocessing),
            "folded": list(self.folded),
            "notes": list(self.notes),
        }


NOT_COMPARED = "not compared: the source's own code needs PyTorch, or for keras.applications channels_last"


def convert(
    file: str | PathLike[str],
    out: str | PathLike[str],
    *,
    architecture: str | None = None,
    images: np.ndarray | None = None,
    mean: str | PathLike[str] | None = None,
) -> Report:
    """Converts a weights file of another project.

    The net is recognised by the names and shapes of its tensors. The result takes raw RGB pixels 0..255 and returns
    the probabilities that the source's own code gives; both are computed and compared before the result is written.

    Args:
        file: a file of PyTorch (.pt, .pth, .th), safetensors, NumPy (.npz), Keras (.h5, .keras) or Caffe (.caffemodel).
        out: the file to write; it ends in `.keras`.
        architecture: the net that the file should hold, like "ResNet-20". The file is checked against it, and it
            decides between a plain and a residual net that have the same tensors where the weights do not tell.
        images: images to compare on, RGB, 0..255, (batch, size, size, 3); None generates noise.
        mean: for a Caffe net, the `.binaryproto` with the mean image it subtracts; None takes the released averages.

    Raises:
        ValueError: no architecture has that name, images have another size, `out` does not end in `.keras`, a net with
            its own mean is given one, or a package is missing.
        OSError: the file cannot be read, is of no known project, holds a net other than `architecture`, or computes
            something other than the net it was taken for; or `out` cannot be written.
    """
    if Path(out).suffix != ".keras":
        raise InvalidValue(f"A net is written to a .keras file. Received: {out}.")
    asked = None if architecture is None else Asked.parse(architecture)
    read = tensors.read(Path(file))
    source = recognise(read, asked, None if mean is None else caffe.read_mean(Path(mean)))
    net = source.architecture
    if asked is not None and not asked.is_name_of(net):
        raise InputOutput(f"{file} should hold {architecture}. Received: {net.name} from {source.project}.")
    if images is None:
        images = parity.noise(net.image_size, NOISE_IMAGES[net.image_size <= 64])
    if images.ndim != 4 or images.shape[1:] != (net.image_size, net.image_size, 3) or not len(images):
        raise InvalidValue(
            f"{net.name} takes images of shape (n, {net.image_size}, {net.image_size}, 3). Received: {images.shape}."
        )
    model = build_from(source)
    found = parity.compare(model, source, images)
    if found is not None:
        parity.check(found)
    save(model, out, net)
    return Report(
        source.project,
        net,
        source.licence,
        read,
        found,
        source.pixels.to_dict(),
        tuple(_folded(source)),
        (*read.notes, *source.notes),
    )


def recognise(read: Tensors, asked: Asked | None = None, mean: caffe.MeanImage | None = None) -> Source:
    """Recognises a net by the names and shapes of its tensors.

    Args:
        read: the tensors.
        asked: decides between two nets with the same tensors.
        mean: the mean image of a Caffe net.

    Raises:
        OSError: the project is unknown; or a tensor of a known project is missing, unknown or of another shape.
        ValueError: the tensors fit both a plain and a residual net, and nothing tells which; or a mean is given for a
            net that is not Caffe's.
    """
    arrays = read.arrays
    if caffe.is_caffe(arrays):
        return caffe.caffe(arrays, mean)
    if mean is not None:
        raise InvalidValue(
            f"A mean image is only for a Caffe net; other nets have their own mean. Received: {mean.name}."
        )
    if cifar10.is_a_martyn(arrays):
        return cifar10.a_martyn(arrays, asked.residual if asked else None)
    if cifar10.is_akamaster(arrays):
        return cifar10.akamaster(arrays)
    if torchvision.is_torchvision(arrays):
        return torchvision.torchvision(arrays)
    if torchvision.is_transformers(arrays):
        return torchvision.transformers(arrays)
    if keras_hub.is_keras_hub(arrays):
        return keras_hub.keras_hub(arrays)
    if keras_applications.is_keras_applications(arrays):
        return keras_applications.keras_applications(arrays)
    raise InputOutput(
        "A weights file is from a-martyn/resnet, akamaster/pytorch_resnet_cifar10, torchvision, timm, transformers, "
        "keras.applications, KerasHub or Caffe's ResNets. "
        f"Received: {len(arrays)} tensors that fit none of these: {listed(arrays)}."
    )


def _folded(source: Source) -> list[str]:
    folded = []
    if source.pixels.std != (1.0, 1.0, 1.0):
        folded.append("the standard deviation of the pixels into the first kernel")
    if source.pixels.channels == "BGR":
        folded.append("the order BGR into the first kernel")
    if any(layer.bias is not None for layer in source.layers.values()):
        folded.append("biases of convolutions into moving means")
    if source.epsilon != BATCH_NORM_EPSILON:
        folded.append(f"epsilon {source.epsilon} into moving variances, for {BATCH_NORM_EPSILON}")
    if source.zeros == "around":
        folded.append("zeros of option A on both sides into the order of the channels")
    return folded
