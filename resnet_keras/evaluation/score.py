"""Testing a net, or several together: 1-crop, 10-crop and multi-scale fully convolutional (sections 3.4 and 4.1).

The scores of a net are its probabilities, averaged over the views of an image; those of an ensemble are a weighted mean
over its nets (Table 5).
"""

from collections.abc import Iterator

import keras
import numpy as np
from rich.console import Console
from rich.progress import TextColumn

from resnet_keras.data.photographs.resizing import NET_SIZE
from resnet_keras.data.photographs.split import Split, spread
from resnet_keras.data.photographs.views import MultiScale, Views
from resnet_keras.data.small.images import ImageData
from resnet_keras.data.threads import available_cores, in_order
from resnet_keras.errors import InvalidValue, first_line
from resnet_keras.evaluation.classifier import Classifier, Preprocessing
from resnet_keras.evaluation.protocol import Protocol
from resnet_keras.nets.fully_convolutional import fully_convolutional
from resnet_keras.reports.console import plain_console
from resnet_keras.reports.progress_bar import progress_bar
from resnet_keras.spec.class_names import check_same_classes

BATCH_PIXELS = 64 * NET_SIZE**2
"""Pixels in a batch, about a gigabyte of a ResNet's activations."""
MAX_IN_BATCH = 512


def score(
    classifier: Classifier,
    data: Split | ImageData,
    protocol: Protocol,
    *,
    limit: int | None = None,
    console: Console | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A net's scores for each image, averaged over its views, and the labels.

    Args:
        classifier: the net.
        data: photographs, or images in memory, of which the test images are taken: each is its own single view.
        protocol: how to test.
        limit: at most so many images, evenly spread over the data.
        console: where a progress bar goes; None is standard output.

    Returns:
        float32 of shape (images, classes), rows that sum to 1; and int32 of shape (images,).

    Raises:
        OSError: a photograph that cannot be read or decoded.
        ValueError: net and data that do not fit, or scores that are not finite.
    """
    check_same_classes(classifier.name, classifier.class_names, data.name, data.known_classes)
    if classifier.num_classes != data.num_classes:
        raise InvalidValue(
            f"Net and data have the same classes. Received: {classifier.name} with {classifier.num_classes}, "
            f"{data.name} with {data.num_classes}."
        )
    views = protocol.views(classifier.image_size)
    if isinstance(data, Split):
        images = data.limited(limit)
        count, shown = len(images), _photographs(images, views)
    else:
        x, y = _single_views(data, classifier, protocol, limit)
        count, shown = len(x), (([image], int(label)) for image, label in zip(x, y, strict=True))
    model = fully_convolutional(classifier.model) if isinstance(views, MultiScale) else classifier.model

    total = np.zeros((count, classifier.num_classes), np.float64)
    labels = np.empty(count, np.int32)
    waiting: dict[tuple[int, ...], list[tuple[int, np.ndarray, int]]] = {}
    done = np.zeros(count, np.int64)
    """Views of each image that were shown to the net."""

    def flush(shape: tuple[int, ...]) -> None:
        batch = waiting.pop(shape)
        # A power of two: a compiled net sees few shapes, and little is computed in vain.
        size = min(_batch_size(shape), 1 << (len(batch) - 1).bit_length())
        probabilities = _predict(model, np.stack([view for _, view, _ in batch]), size, classifier.preprocessing)
        for (index, _, of), row in zip(batch, probabilities, strict=True):
            total[index] += row / of
            done[index] += 1
            if done[index] == of:
                progress.advance(task)

    with progress_bar(console or plain_console(), TextColumn("images")) as progress:
        task = progress.add_task(f"{classifier.name}  {protocol.name}", total=count)
        for index, (shown_views, label) in enumerate(shown):
            labels[index] = label
            for view in shown_views:
                batch = waiting.setdefault(view.shape, [])
                batch.append((index, view, len(shown_views)))
                if len(batch) == _batch_size(view.shape):
                    flush(view.shape)
        for shape in tuple(waiting):
            flush(shape)
    if not np.isfinite(total).all():
        raise InvalidValue(f"A net's scores are finite. Received: NaN or infinity from {classifier.name}.")
    return total.astype(np.float32), labels


def _photographs(split: Split, views: Views) -> Iterator[tuple[list[np.ndarray], int]]:
    def shown(index: int) -> tuple[list[np.ndarray], int]:
        image, label = split.photograph(index)
        return views.of(image), label

    return in_order(shown, range(len(split)), available_cores())


def _single_views(
    data: ImageData, classifier: Classifier, protocol: Protocol, limit: int | None
) -> tuple[np.ndarray, np.ndarray]:
    if protocol.name != "1-crop":
        raise InvalidValue(
            f"{data.name} is tested on its images as they are, 1-crop (section 4.2). Received: {protocol.name}."
        )
    data = data.averaged_to(classifier.model.input_shape[1] or data.image_size)
    indices = spread(len(data.x_test), min(limit or len(data.x_test), len(data.x_test)))
    return data.x_test[indices], data.y_test[indices]


def _batch_size(shape: tuple[int, ...]) -> int:
    return max(1, min(MAX_IN_BATCH, BATCH_PIXELS // (shape[0] * shape[1])))


def _predict(model: keras.Model, images: np.ndarray, size: int, preprocessing: Preprocessing) -> np.ndarray:
    """Probabilities; the batch is filled up to `size` with its first image, so that few shapes are compiled."""
    count = len(images)
    if count < size:
        images = np.concatenate([images, np.repeat(images[:1], size - count, axis=0)])
    if preprocessing != "raw":
        images = keras.applications.imagenet_utils.preprocess_input(
            images.astype(np.float32), data_format="channels_last", mode=preprocessing
        )
    try:
        return np.asarray(model.predict_on_batch(images))[:count]
    except Exception as error:  # whatever the layers of another's net raise
        raise InvalidValue(
            f"A net takes the images that it is tested on. Received: {model.name!r}, {images.shape} "
            f"({first_line(error)})."
        ) from error
