"""The loss along a line or over a plane through a trained net, in filter-normalised random directions.

Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets": each filter of a direction is a normal draw
scaled to the length of the net's own filter, so that nets of different scales can be compared. The parameters of batch
normalisation and biases stay as they are, and the net predicts with its moving statistics, as in the authors' code.
"""

import csv
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from resnet_keras.analysis.images import Batches
from resnet_keras.analysis.nets import Net, rewired
from resnet_keras.backends.kernels import for_testing
from resnet_keras.errors import Damaged, InputOutput, InvalidValue
from resnet_keras.runs import storage
from resnet_keras.spec.measurements import Point, Surface, to_csv

BATCH = 256
"""Most images in a batch."""
HEAD = ("net", *Point._fields, "seed", "images", "file")
MOST_POINTS = 1_001
"""Most points along one direction."""


class Scan:
    """The scans of several nets in one CSV file, which is whole after each point.

    Args:
        path: path of the file; a scan whose points it already holds is resumed.
        nets: each with its last layer of logits named "predictions", as this project builds them.
        batches: images and labels for each net.
        steps: steps along the first direction, and along the second; (0.0,) alone for a line.
        seed: seed of the directions.

    Raises:
        OSError: the file holds another scan, or is damaged.
        ValueError: the logits of a net are not known.
    """

    def __init__(
        self,
        path: Path,
        nets: Sequence[Net],
        batches: Sequence[Batches],
        steps: tuple[Sequence[float], Sequence[float]],
        *,
        seed: int = 0,
    ) -> None:
        self._path, self._nets, self._batches, self._seed = path, nets, batches, seed
        self._places = [(alpha, beta) for beta in steps[1] for alpha in steps[0]]
        self._points: dict[tuple[str, float, float], Point] = {}
        for net in nets:
            net.described()
        self._read()

    def missing(self, net: Net) -> list[tuple[float, float]]:
        """The places of a net's points that have not been computed yet."""
        return [place for place in self._places if (net.subject.name, *place) not in self._points]

    def compute(self) -> Iterator[Point]:
        """Computes the missing points one by one; each is on disk before it is yielded.

        Raises:
            OSError: the file cannot be written.
        """
        for net, batches in zip(self._nets, self._batches, strict=True):
            missing = self.missing(net)
            if not missing:
                continue
            at = loss_at(net.model, batches, seed=self._seed)
            for place in missing:
                point = self._points[net.subject.name, *place] = at(*place)
                self._write()
                yield point

    def surfaces(self) -> list[Surface]:
        """The points computed so far, for each net."""
        return [
            Surface(
                net.subject,
                [
                    self._points[key]
                    for alpha, beta in self._places
                    if (key := (net.subject.name, alpha, beta)) in self._points
                ],
            )
            for net in self._nets
        ]

    def _settings(self, net: Net) -> tuple[str, str, str]:
        images = self._batches[self._nets.index(net)].images
        return str(self._seed), str(images), net.sha256[:12]

    def _read(self) -> None:
        try:
            with self._path.open(newline="", encoding="utf-8") as file:
                head, *rows = [*csv.reader(file)] or [[]]
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputOutput(f"A scan is a readable CSV file. Received: {self._path} ({error}).") from None
        known = {(net.subject.name, *self._settings(net)) for net in self._nets}
        asked = {tuple(f"{step:.7g}" for step in place): place for place in self._places}
        if tuple(head) != HEAD:
            raise InputOutput(f"A scan begins with {','.join(HEAD)}. Received: {self._path}. Use another --out.")
        for row in rows:
            try:
                name, alpha, beta, loss, wrong, *settings = row
                numbers = float(loss), float(wrong)
            except ValueError:
                raise Damaged(f"A row of a scan has {len(HEAD)} values. Received: {row} in {self._path}.") from None
            if (name, *settings) not in known or (alpha, beta) not in asked:
                raise InputOutput(
                    "A scan is resumed with the nets, images, seed and points that it was started with. "
                    f"Received: {self._path} with others ({name} at {alpha}, {beta}). Use another --out."
                )
            place = asked[alpha, beta]
            self._points[name, *place] = Point(*place, *numbers)

    def _write(self) -> None:
        rows = [
            (net.subject.name, *point, *self._settings(net))
            for net, surface in zip(self._nets, self.surfaces(), strict=True)
            for point in surface.points
        ]
        storage.atomic_write(self._path, to_csv(HEAD, rows).encode())


def steps(points: int, reach: float) -> tuple[float, ...]:
    """Evenly spaced steps from -reach to reach; an odd number of them has the net itself in the middle.

    Raises:
        ValueError: the number is even or out of range, or the reach is not above 0 or is beyond 100.
    """
    if not 3 <= points <= MOST_POINTS or points % 2 == 0:
        raise InvalidValue(f"The number of points in each direction is odd, 3 to {MOST_POINTS}. Received: {points}.")
    if not 0 < reach <= 100:
        raise InvalidValue(f"The reach of a scan is above 0 and at most 100. Received: {reach:g}.")
    half = points // 2
    return tuple(reach * step / half for step in range(-half, half + 1))


def loss_at(model: keras.Model, batches: Batches, *, seed: int) -> Callable[[float, float], Point]:
    """The mean cross-entropy and the error, in prediction mode, as a function of the place in the plane.

    Args:
        model: left unchanged; a copy of it moves.
        batches: images and labels, read once for each point.
        seed: seed of the two directions; a layer's direction depends on it and on the layer's name.
    """
    copy = rewired(model)
    scoring = keras.Model(copy.input, copy.get_layer("predictions").output)
    kernels = {layer.name: layer.kernel for layer in _weighted(scoring)}
    moving = for_testing(scoring)
    at_zero = {name: np.array(keras.ops.convert_to_numpy(kernel)) for name, kernel in kernels.items()}
    along = [{name: direction(kernel, name, seed, k) for name, kernel in at_zero.items()} for k in (0, 1)]

    def at(alpha: float, beta: float) -> Point:
        for name, kernel in kernels.items():
            kernel.assign(at_zero[name] + alpha * along[0][name] + beta * along[1][name])
        images, loss, wrong = 0, 0.0, 0
        for x, y in batches:
            scores = np.asarray(moving.predict_on_batch(x), np.float64)
            own = scores[np.arange(len(y)), y]
            with np.errstate(all="ignore"):
                highest = scores.max(axis=1)
                loss += float((np.log(np.exp(scores - highest[:, None]).sum(axis=1)) + highest - own).sum())
            wrong += int((scores.argmax(axis=1) != y).sum())
            images += len(y)
        return Point(alpha, beta, loss / images, 100 * wrong / images)

    return at


def direction(kernel: np.ndarray, name: str, seed: int, number: int) -> np.ndarray:
    """A random direction of a layer's kernel: each filter (last axis) is as long as the kernel's own."""
    random = np.random.default_rng([seed, number, zlib.crc32(name.encode())])
    draw = random.standard_normal(kernel.shape)
    axes = tuple(range(kernel.ndim - 1))
    lengths = np.sqrt((kernel.astype(np.float64) ** 2).sum(axis=axes) / (draw**2).sum(axis=axes))
    return (draw * lengths).astype(kernel.dtype)


def _weighted(model: keras.Model) -> Iterator[Any]:
    """Convolutions and dense layers, including those of nested models."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _weighted(layer)
        elif isinstance(layer, layers.Conv2D | layers.Dense):
            yield layer
