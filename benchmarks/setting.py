"""`Setting`: what is measured. No framework is imported here."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from resnet_keras.data.small.images import ImageData, image_data
from resnet_keras.errors import InvalidValue
from resnet_keras.spec.architecture import Architecture
from resnet_keras.spec.paper_nets import IMAGENET_UNITS, cifar10, imagenet
from resnet_keras.spec.paper_recipes import CIFAR10
from resnet_keras.spec.recipe import Recipe

Backend = Literal["tensorflow", "jax", "torch"]
Precision = Literal["float32", "bfloat16"]
"""Precision of activations and convolutions; weights, statistics and the last layer are float32 in both."""

Name = Literal[
    "train",
    "fit",
    "own step",
    "keras step",
    "native step",
    "native loop",
    "compiled native step",
    "compiled native loop",
    "keras.applications fit",
]
"""
- `train`: ours as its users run it, with data, augmentation, metrics, callbacks.
- `fit`: `model.fit` of the same net with one batch over and over, no callback but a clock, no metric but the loss.
- `own step`: the update of `train`'s own net, made as in `keras step`: `keras_steps`.
- `keras step`: the same with the stock layers.
- `native step`: the net in the framework itself with one batch over and over.
- `native loop`: the same with the order and augmentation of `train`, in the same NumPy code (for `train`, JAX and
  PyTorch do the cropping on the accelerator if there is one).
- `compiled ...`: compiled by `torch.compile` or XLA.
- `keras.applications fit`: its ResNet50, trained as in `fit`. It has biases in its convolutions, and no weight decay.
"""
BESIDE: tuple[Name, ...] = ("fit", "own step", "keras step", "native step", "native loop")
"""The contenders that take turns with `train` by default; with ResNet-50, keras.applications too."""
RESIDENT_BYTES = 150_000_000
"""Size of the training images in memory: CIFAR-10's 50,000, so that processor caches are as cold as in training."""
HELD_OUT = 10
"""Number of validation images, and of test images: training needs some, and their time does not count."""


LEARNING_RATE = 1e-3
"""Small enough that the deepest net stays finite on noise; an update takes as long as with 0.1."""
MEAN_IMAGES = 1000
"""Images over which the subtracted mean is taken."""


@dataclass(frozen=True)
class Setting:
    """One net on one backend, and for how long it is measured.

    Attributes:
        backend: the Keras backend, and the framework of the native loop.
        net: "resnet-20", "plain-110": a net of Table 1 if that has the depth (18, 34, 50, 101, 152), else of section
            4.2.
        batch_size: images per update.
        precision: see `Precision`.
        image_size: side in pixels; None is the paper's, 32 or 224.
        seconds: approximate time that each contender runs in each round.
        rounds: number of rounds, in each of which every contender takes a turn.
        beside: contenders that take turns with `train`; the first sets how many updates `train` makes in a round.
        images: number of training images; None is as many as fill `RESIDENT_BYTES`.
    """

    backend: Backend
    net: str
    batch_size: int = 128
    precision: Precision = "float32"
    image_size: int | None = None
    seconds: float = 10.0
    rounds: int = 5
    beside: tuple[Name, ...] = BESIDE
    images: int | None = None

    def __post_init__(self) -> None:
        for field, choices in (("backend", get_args(Backend)), ("precision", get_args(Precision))):
            if getattr(self, field) not in choices:
                raise InvalidValue(f"A {field} is one of {', '.join(choices)}. Received: {getattr(self, field)!r}.")
        if min(self.batch_size, self.rounds, 1 if self.images is None else self.images) < 1 or not self.seconds > 0:
            raise InvalidValue(f"Batch size, rounds, seconds and images are above 0. Received: {self}.")
        if not self.beside or not set(self.beside) <= set(get_args(Name)) - {"train"}:
            raise InvalidValue(
                f"The contenders beside train are some of {', '.join(get_args(Name)[1:])}. Received: {self.beside}."
            )
        if len(set(self.beside)) < len(self.beside):
            raise InvalidValue(f"Each contender beside train is given once. Received: {self.beside}.")
        if "keras.applications fit" in self.beside and self.net != "resnet-50":
            raise InvalidValue(f"keras.applications' ResNet50 runs beside resnet-50 only. Received: {self.net}.")
        _ = self.architecture

    @property
    def architecture(self) -> Architecture:
        """The architecture that is built."""
        kind, _, number = self.net.partition("-")
        if kind not in ("resnet", "plain") or not number.isdecimal():
            raise InvalidValue(f"A net is named like resnet-20 or plain-20. Received: {self.net!r}.")
        make = imagenet if int(number) in IMAGENET_UNITS else cifar10
        net = make(int(number)) if kind == "resnet" else make(int(number), None)
        return net if self.image_size is None else replace(net, image_size=self.image_size)

    @property
    def label(self) -> str:
        """Its name in a line of output."""
        return f"{self.net} {self.backend} {self.precision} batch {self.batch_size} {self.architecture.image_size} px"

    def data(self, *, small: bool = False) -> ImageData:
        """Random images and labels: speed does not depend on what they show.

        Args:
            small: only two batches, for measuring the start.
        """
        net, random = self.architecture, np.random.default_rng(0)
        resident = self.images or RESIDENT_BYTES // (net.image_size**2 * 3)
        images = 2 * self.batch_size if small else max(2 * self.batch_size, resident)

        def part(count: int) -> tuple[np.ndarray, np.ndarray]:
            shape = (count, net.image_size, net.image_size, 3)
            return random.integers(0, 256, shape, np.uint8), random.integers(0, net.num_classes, count, np.int32)

        return image_data(
            name="noise",
            source="benchmarks",
            train=part(images + HELD_OUT),
            test=part(HELD_OUT),
            num_classes=net.num_classes,
            validation=HELD_OUT,
            generated=True,
        )

    def to_json(self) -> str:
        """The fields as JSON, for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Setting":
        """Reads what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**fields | {"beside": tuple(fields["beside"])})


def mean_of(setting: Setting, data: ImageData) -> np.ndarray:
    """The mean that a net subtracts, of shape (size, size, 3) or (3,)."""
    mean = data.x_train[:MEAN_IMAGES].mean(axis=0, dtype=np.float64)
    return np.asarray(mean if setting.architecture.mean == "pixel" else mean.mean(axis=(0, 1)))


def recipe_for(setting: Setting, *, period: int = 1, periods: int = 1) -> Recipe:
    """The paper's recipe, so long that its schedule cuts none of the first `periods` periods of `period` updates."""
    recipe = CIFAR10.rescaled(4 * period * (periods + 1))
    return replace(recipe, batch_size=setting.batch_size, learning_rate=LEARNING_RATE, evaluate_every=period)


def repeat(step: Callable[[Any], None], wait: Callable[[], Any], batch: Any) -> Callable[[int], float]:
    """Makes the same step over and over: see `Contender.run`."""

    def run(steps: int) -> float:
        step(batch)
        wait()
        start = time.perf_counter()
        for _ in range(steps - 1):
            step(batch)
        wait()
        return time.perf_counter() - start

    return run
