"""Testing a net, or several together: 1-crop, 10-crop and multi-scale fully convolutional (sections 3.4 and 4.1).

The scores of a net are its probabilities, averaged over the views of an image; those of an ensemble are a weighted mean
over its nets (Table 5).
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

import keras
import numpy as np
from rich.console import Console
from rich.progress import TextColumn

from resnet_keras.backends.kernels import for_testing
from resnet_keras.data.photographs.resizing import NET_SIZE
from resnet_keras.data.photographs.split import Split, spread
from resnet_keras.data.photographs.views import MultiScale, Views
from resnet_keras.data.small.images import ImageData
from resnet_keras.data.threads import ahead, available_cores, in_order
from resnet_keras.errors import InvalidValue, first_line
from resnet_keras.evaluation.classifier import Classifier, Preprocessing
from resnet_keras.evaluation.protocol import Protocol
from resnet_keras.reports.console import plain_console
from resnet_keras.reports.progress_bar import progress_bar
from resnet_keras.spec.class_names import check_same_classes

BATCH_PIXELS = 64 * NET_SIZE**2
"""Pixels in a batch: about a gigabyte of a ResNet's activations."""
MAX_IN_BATCH = 512
BATCHES_AHEAD = 2
"""Batches made while the net computes: one waiting, one being made."""


def score(
    classifier: Classifier,
    data: Split | ImageData,
    protocol: Protocol,
    *,
    limit: int | None = None,
    workers: int | None = None,
    console: Console | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A net's scores for each image, averaged over its views, and the labels.

    Args:
        classifier: the net.
        data: photographs, or images in memory, whose test images are used, each as its own single view.
        protocol: how to test.
        limit: use at most this many images, evenly spread over the data.
        workers: number of threads that decode photographs; None means one per core.
        console: where the progress bar is shown; None means standard output.

    Returns:
        float32 of shape (images, classes), whose rows sum to 1, and int32 of shape (images,).

    Raises:
        OSError: a photograph cannot be read or decoded.
        ValueError: net and data do not match, or scores are not finite.
    """
    check_same_classes(classifier.name, classifier.class_names, data.name, data.known_classes)
    if classifier.num_classes != data.num_classes:
        raise InvalidValue(
            f"Net and data have the same classes. Received: {classifier.name} with {classifier.num_classes}, "
            f"{data.name} with {data.num_classes}. Choose other images with --data-dir."
        )
    views = protocol.views(classifier.image_size)
    if isinstance(data, Split):
        images = data.limited(limit)
        count, shown = len(images), _photographs(images, views, workers or available_cores())
    else:
        x, y = _single_views(data, classifier, protocol, limit)
        count, shown = len(x), (([image], int(label)) for image, label in zip(x, y, strict=True))
    model = for_testing(classifier.fully_convolutional_model if isinstance(views, MultiScale) else classifier.model)

    total = np.zeros((count, classifier.num_classes), np.float64)
    labels = np.empty(count, np.int32)
    left = np.zeros(count, np.int64)
    """Views of each image that the net has not been shown yet."""
    with (
        closing(ahead(_batches(shown, labels, left, classifier.preprocessing), BATCHES_AHEAD)) as batches,
        progress_bar(console or plain_console(), TextColumn("images")) as progress,
    ):
        task = progress.add_task(f"{classifier.name}  {protocol.name}", total=count)
        for batch in batches:
            np.add.at(total, batch.indices, _predict(model, batch) * batch.shares[:, None])
            np.subtract.at(left, batch.indices, 1)
            progress.advance(task, int((left[np.unique(batch.indices)] == 0).sum()))
    if not np.isfinite(total).all():
        raise InvalidValue(f"A net's scores are finite. Received: NaN or infinity from {classifier.name}.")
    return total.astype(np.float32), labels


class _Batch(NamedTuple):
    """Views of one shape.

    Attributes:
        indices: index of each view's image.
        shares: share of each view in its image's scores.
        pixels: input to the net, padded with the first view where needed so that few shapes are compiled.
    """

    indices: np.ndarray
    shares: np.ndarray
    pixels: np.ndarray


def _batches(
    shown: Iterable[tuple[list[np.ndarray], int]], labels: np.ndarray, left: np.ndarray, preprocessing: Preprocessing
) -> Iterator[_Batch]:
    """Batches as they fill up and, at the end, the rest; `labels` and `left` are filled in along the way."""
    waiting: dict[tuple[int, ...], list[tuple[int, int, np.ndarray]]] = {}

    def stacked(shape: tuple[int, ...]) -> _Batch:
        indices, counts, views = zip(*waiting.pop(shape), strict=True)
        size = len(views)
        if keras.backend.backend() != "torch":  # so that other calls of a compiled net meet the same shapes again
            size = min(batch_size(shape), _round_up(size))
        pixels = np.stack([*views, *views[:1] * (size - len(views))])
        if preprocessing != "raw":
            pixels = keras.applications.imagenet_utils.preprocess_input(
                pixels.astype(np.float32), data_format="channels_last", mode=preprocessing
            )
        return _Batch(np.array(indices), 1 / np.array(counts), pixels)

    for index, (views, label) in enumerate(shown):
        labels[index], left[index] = label, len(views)
        for view in views:
            batch = waiting.setdefault(view.shape, [])
            batch.append((index, len(views), view))
            if len(batch) == batch_size(view.shape):
                yield stacked(view.shape)
    for shape in tuple(waiting):
        yield stacked(shape)


def _round_up(count: int) -> int:
    """Rounds up to four significant binary digits, which adds less than an eighth."""
    step = 1 << max(0, count.bit_length() - 4)
    return -(-count // step) * step


def _photographs(split: Split, views: Views, workers: int) -> Iterator[tuple[list[np.ndarray], int]]:
    def shown(index: int) -> tuple[list[np.ndarray], int]:
        image, label = split.photograph(index)
        return views.of(image), label

    return in_order(shown, range(len(split)), workers)


def _single_views(
    data: ImageData, classifier: Classifier, protocol: Protocol, limit: int | None
) -> tuple[np.ndarray, np.ndarray]:
    if protocol.name != "1-crop":
        raise InvalidValue(
            f"{data.name} is tested on its images as they are, with 1-crop (section 4.2). Received: {protocol.name}."
        )
    data = data.averaged_to(classifier.model.input_shape[1] or data.image_size)
    indices = spread(len(data.x_test), min(limit or len(data.x_test), len(data.x_test)))
    return data.x_test[indices], data.y_test[indices]


def batch_size(shape: tuple[int, ...]) -> int:
    """Number of views of this shape, (height, width, 3), that the net is given at a time."""
    return max(1, min(MAX_IN_BATCH, BATCH_PIXELS // (shape[0] * shape[1])))


def _predict(model: keras.Model, batch: _Batch) -> np.ndarray:
    """Probabilities of each view."""
    try:
        return np.asarray(model.predict_on_batch(batch.pixels))[: len(batch.indices)]
    except Exception as error:  # whatever the layers of a third party's net raise
        raise InvalidValue(
            f"A net takes the images that it is tested on. Received: {model.name!r}, {batch.pixels.shape} "
            f"({first_line(error)})."
        ) from error
