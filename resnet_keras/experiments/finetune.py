"""`finetune`: trains a trained net further on other images and classes, and leaves a run folder like any other."""

import hashlib
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import keras

from resnet_keras.data.dataset import Dataset
from resnet_keras.experiments.run import run
from resnet_keras.nets.build import network_of
from resnet_keras.runs import reading
from resnet_keras.spec.finetune import FineTune, Freeze
from resnet_keras.spec.network import Network
from resnet_keras.spec.paper_recipes import FINETUNE
from resnet_keras.spec.recipe import Recipe
from resnet_keras.weights.load import load


@dataclass(frozen=True)
class Start:
    """A trained net to start from.

    Attributes:
        model: the model that its file holds.
        network: the network that it is.
        sha256: hash of the file.
    """

    model: keras.Model
    network: Network
    sha256: str

    def for_images(self, data: Dataset) -> Network:
        """The same network for a data set's classes and image size."""
        described = data.description
        fitting: Any = replace(  # type: ignore[type-var]  # every network is a dataclass
            self.network, num_classes=described.num_classes, image_size=described.image_size
        )
        return fitting


def read(path: str | PathLike[str]) -> Start:
    """Opens the net to start from.

    Args:
        path: a run folder, or a `.keras` file that this project wrote: trained or converted.

    Raises:
        OSError: it cannot be read, is not as this project wrote it, or its run has not ended.
    """
    file = reading.model_file(path).path
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    model = load(file, sha256=sha256)
    network = network_of(model)
    assert network is not None  # `load` builds it from one
    return Start(model, network, sha256)


def finetune(
    start: str | PathLike[str] | Start,
    data: Dataset,
    *,
    recipe: Recipe = FINETUNE,
    freeze: Freeze = "none",
    stages: int = 0,
    old_rate: float = 0.1,
    seed: int,
    out: str | PathLike[str],
    **options: Any,
) -> reading.Run:
    """Trains a loaded net on other images: a new last layer for their classes, all other weights as they were.

    The mean that is subtracted stays the old one. Frozen batch normalisation stays in inference mode.

    Args:
        start: a run folder, a `.keras` file, or what `read` returned for one.
        data: images to train on.
        recipe: how to train; its `finetune` is made from the arguments that follow.
        freeze: "none", "stages" (the stem and the first `stages` stages) or "all-but-head".
        stages: number of stages to freeze.
        old_rate: the learning rate of the old layers as a share of the new layer's.
        seed: random seed of the new layer, the order and the augmentation.
        out: the run folder.
        options: `resume`, `console` and `tensorboard`, as for `run`.

    Raises:
        OSError: the net cannot be read, or the folder not written.
        ValueError: the net has nothing of the kind to be frozen, or is for images of another size.
        ArithmeticError, KeyboardInterrupt: as for `run`.
    """
    opened = start if isinstance(start, Start) else read(start)
    going_on = replace(recipe, finetune=FineTune(opened.sha256, freeze, stages, old_rate))
    return run(opened.for_images(data), going_on, data, seed=seed, out=out, start=opened.model, **options)
