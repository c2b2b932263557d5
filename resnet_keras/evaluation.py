"""Testing a net, or several together: 1-crop, 10-crop and multi-scale fully convolutional (sections 3.4 and 4.1).

The scores of a net are its probabilities, averaged over the views of an image; those of an ensemble are a weighted mean
over its nets (Table 5). Nets are any Keras image classifiers, read from files.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import keras
import numpy as np
from keras import layers
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from resnet_keras import runs, storage
from resnet_keras.data.images import ImageData
from resnet_keras.data.splits import Split, available_cores, in_order, spread
from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.views import NET_SIZE, MultiScale, Protocol, Views

Preprocessing = Literal["raw", "caffe", "torch", "tf"]
"""What a net's images are scaled to: nothing (the net does it itself), or a mode of `keras.applications`."""
BATCH_PIXELS = 64 * NET_SIZE**2
"""Pixels in a batch, about a gigabyte of a ResNet's activations."""
MOST_IN_BATCH = 512
CACHE_VERSION = 1
"""Counts changes of what is computed: scores of an older version are not read."""


@dataclass(frozen=True)
class Classifier:
    """A net as it was read from a file.

    Attributes:
        name: the run's net, or the model's own name.
        model: images of 0..255, preprocessed, to probabilities.
        sha256: of the file.
        preprocessing: what is done to the images first.
    """

    name: str
    model: keras.Model
    sha256: str
    preprocessing: Preprocessing

    @property
    def image_size(self) -> int:
        """Side of the images that it takes, in pixels; 224 where it takes any."""
        return self.model.input_shape[1] or NET_SIZE

    @property
    def num_classes(self) -> int:
        """Outputs."""
        return self.model.output_shape[-1]


def read(path: Path, preprocessing: Preprocessing = "raw") -> Classifier:
    """Reads a net.

    Args:
        path: a run folder, or a `.keras` file.
        preprocessing: "raw" for nets that take pixels 0..255; "caffe", "torch" or "tf", the modes of
            `keras.applications.imagenet_utils.preprocess_input`, for those that want it done before.

    Raises:
        OSError: no such file, or one that Keras cannot load.
        ValueError: a model that is no image classifier, or an unknown preprocessing.
    """
    if preprocessing not in get_args(Preprocessing):
        raise InvalidValue(f"Preprocessing is {', '.join(get_args(Preprocessing))}. Received: {preprocessing!r}.")
    file = path / runs.MODEL if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputOutput(
            f"A net is a run folder or a .keras file. Received: {file} ({error.strerror}). Has the run ended?"
        ) from None
    if file.suffix == ".keras" and not zipfile.is_zipfile(io.BytesIO(content)):  # Keras says that there is no file
        raise InputOutput(
            f"A .keras file is a zip archive. Received: {file}, {len(content):,} bytes that are none: it is cut off or "
            "something else. Copy it again."
        )
    try:
        model = keras.saving.load_model(file, compile=False)
    except Exception as error:  # Keras passes on whatever zipfile, JSON, HDF5 and layers raise
        lines = str(error).splitlines() or [type(error).__name__]
        raise InputOutput(f"A net is a .keras file of stock layers. Received: {file} ({lines[0]}).") from error
    shape = model.input_shape
    square = isinstance(shape, tuple) and len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3
    if not square or len(model.output_shape) != 2:
        raise InvalidValue(
            "An image classifier takes (batch, size, size, 3) and returns (batch, classes). "
            f"Received: {file}, {shape} to {model.output_shape}."
        )
    name = runs.read(path).name if (path / runs.RUN).exists() else model.name
    return Classifier(name, _with_softmax(model, file), hashlib.sha256(content).hexdigest(), preprocessing)


def fully_convolutional(model: keras.Model) -> keras.Model:
    """The same net for images of any size: its dense layer becomes a 1x1 convolution (section 3.4).

    The score map's logits are averaged over all positions, then comes the softmax. Averaging is linear, so at the
    net's own size the output is that of the net.

    Args:
        model: it ends with global average pooling, a dense layer and a softmax.

    Returns:
        A new model with copies of the weights, of (batch, height, width, 3) to (batch, classes).

    Raises:
        ValueError: another ending, or layers that need one image size.
    """
    pool, dense = _head(model)
    features = keras.Model(model.inputs, pool.input)
    image = keras.Input((None, None, 3), name="image", dtype=model.inputs[0].dtype)
    try:
        body = keras.models.clone_model(features, input_tensors=[image])
        for old, new in zip(features.layers, body.layers, strict=True):
            new.set_weights(old.get_weights())
            if isinstance(new, layers.Normalization):
                new.finalize_state()
    except (ValueError, TypeError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise InvalidValue(
            f"Multi-scale testing takes a net for images of any size. Received: {model.name!r} ({lines[0]}). "
            "Use 1-crop or 10-crop."
        ) from error
    scoring = layers.Conv2D(dense.units, 1, data_format="channels_last", dtype=dense.dtype_policy, name="score_map")
    x = scoring(body.outputs[0])
    kernel, *bias = dense.get_weights()
    scoring.set_weights([kernel[None, None], *(bias or [np.zeros(dense.units)])])
    x = layers.GlobalAveragePooling2D(data_format="channels_last", dtype="float32", name="score")(x)
    return keras.Model(image, layers.Softmax(dtype="float32")(x), name=f"{model.name}-fully-convolutional")


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

    def flush(batch: list[tuple[int, np.ndarray, int]], size: int) -> None:
        probabilities = _predict(model, np.stack([view for _, view, _ in batch]), size, classifier.preprocessing)
        for (index, _, of), row in zip(batch, probabilities, strict=True):
            total[index] += row / of

    with _bar(console) as progress:
        task = progress.add_task(f"{classifier.name}  {protocol.name}", total=count)
        for index, (shown_views, label) in enumerate(shown):
            labels[index] = label
            for view in shown_views:
                batch = waiting.setdefault(view.shape, [])
                batch.append((index, view, len(shown_views)))
                if len(batch) == (size := _batch_size(view.shape)):
                    flush(batch, size)
                    batch.clear()
            progress.advance(task)
        for shape, batch in waiting.items():
            if batch:
                # A power of two: a compiled net sees few shapes, and little is computed in vain.
                flush(batch, min(_batch_size(shape), 1 << (len(batch) - 1).bit_length()))
    if not np.isfinite(total).all():
        raise InvalidValue(f"A net's scores are finite. Received: NaN or infinity from {classifier.name}.")
    return total.astype(np.float32), labels


@dataclass(frozen=True)
class Cache:
    """Scores on disk: adding a net to an ensemble costs one net.

    Attributes:
        folder: one file for each net, data, protocol and limit; None keeps nothing.
    """

    folder: Path | None

    def score(
        self,
        classifier: Classifier,
        data: Split | ImageData,
        protocol: Protocol,
        *,
        limit: int | None = None,
        console: Console | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """`score`, or what an earlier call of it gave.

        Raises:
            OSError: the folder cannot be written.
        """
        if self.folder is None:
            return score(classifier, data, protocol, limit=limit, console=console)
        key = json.dumps(
            {
                "version": CACHE_VERSION,
                "model": classifier.sha256,
                "preprocessing": classifier.preprocessing,
                "data": data.fingerprint,
                "views": repr(protocol.views(classifier.image_size)),
                "limit": limit,
            }
        )
        path = self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        # A damaged file counts as none: it is computed again and replaced.
        with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile), np.load(path) as file:
            if str(file["key"]) == key:
                return file["scores"], file["labels"]
        scores, labels = score(classifier, data, protocol, limit=limit, console=console)
        file = io.BytesIO()
        np.savez(file, key=np.array(key), scores=scores, labels=labels)
        storage.write(path, file.getvalue())
        return scores, labels


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
    data = data.averaged_to(classifier.image_size)
    places = spread(len(data.x_test), min(limit or len(data.x_test), len(data.x_test)))
    return data.x_test[places], data.y_test[places]


def _batch_size(shape: tuple[int, ...]) -> int:
    return max(1, min(MOST_IN_BATCH, BATCH_PIXELS // (shape[0] * shape[1])))


def _predict(model: keras.Model, images: np.ndarray, size: int, preprocessing: Preprocessing) -> np.ndarray:
    """Probabilities; the batch is filled up to `size` with its first image, so that few shapes are compiled."""
    count = len(images)
    if count < size:
        images = np.concatenate([images, np.repeat(images[:1], size - count, axis=0)])
    if preprocessing != "raw":
        images = keras.applications.imagenet_utils.preprocess_input(
            images.astype(np.float32), data_format="channels_last", mode=preprocessing
        )
    return np.asarray(model.predict_on_batch(images))[:count]


def _with_softmax(model: keras.Model, file: Path) -> keras.Model:
    """The model, ending in probabilities: those that end in logits get a softmax."""
    last = model.layers[-1]
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    activation = keras.activations.softmax if isinstance(last, layers.Softmax) else getattr(last, "activation", None)
    if activation is keras.activations.softmax:
        return model
    if isinstance(last, layers.Dense) and activation is keras.activations.linear:
        return keras.Model(model.input, layers.Softmax(dtype="float32")(model.outputs[0]), name=model.name)
    raise InvalidValue(f"A classifier ends with a softmax, or with a dense layer's logits. Received: {file}.")


def _head(model: keras.Model) -> tuple[keras.layers.Layer, keras.layers.Layer]:
    """The global average pooling and the dense layer at the model's end."""
    chain = list(model.layers)
    pools = [index for index, layer in enumerate(chain) if isinstance(layer, layers.GlobalAveragePooling2D)]
    if pools:
        pool, *tail = chain[pools[-1] :]
        dense = [layer for layer in tail if isinstance(layer, layers.Dense)]
        others = [layer for layer in tail if not isinstance(layer, (layers.Dense, layers.Dropout))]
        ending = all(isinstance(layer, (layers.Activation, layers.Softmax)) for layer in others) and len(others) <= 1
        if len(dense) == 1 and ending and pool.data_format == "channels_last":
            return pool, dense[0]
    raise InvalidValue(
        "The fully convolutional form is made from a net that ends with global average pooling, one dense layer and a "
        f"softmax. Received: {model.name!r}. Use 1-crop or 10-crop."
    )


def _bar(console: Console | None) -> Progress:
    console = console or Console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("images"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
