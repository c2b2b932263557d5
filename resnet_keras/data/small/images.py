"""`ImageData`: a set of small labelled images in memory, and the checks on it before any work."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from resnet_keras.data.dataset import Batch, Batches, Description
from resnet_keras.data.small.held_out import VALIDATION_SHARE, held_out_of
from resnet_keras.data.small.stream import Stream
from resnet_keras.errors import InvalidValue
from resnet_keras.spec.augmentation import PaddedCrop, ScaledCrop
from resnet_keras.spec.class_names import ClassNames, meaningful

LISTED = 5
"""Classes that a warning names, at most."""
NONE_HELD_OUT = "No images are held out: validation errors are those of the test images."
LABELS = np.iinfo(np.int32)
EVALUATION_BATCH = 500
"""Divides CIFAR-10's 5,000 and 10,000 images, so a compiled net sees one shape."""


class ArrayBatches(Batches):
    """Images in memory, in batches.

    Args:
        x: (n, size, size, 3), uint8.
        y: (n,), int32.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__(len(x), EVALUATION_BATCH)
        self.x, self.y = x, y

    def batch(self, indices: range) -> Batch:
        """Views of the arrays."""
        part = slice(indices.start, indices.stop)
        return self.x[part], self.y[part]

    def share(self, images: range) -> "ArrayBatches":
        """As `Batches.share`."""
        return ArrayBatches(*self.batch(images))


@dataclass(frozen=True)
class ImageData:
    """Images in memory as uint8, split into three parts.

    Attributes:
        name: the name shown on screen and in figures.
        source: what was read, without this machine's path, or how the images were generated.
        generated: True for the stand-in that is not a real data set.
        num_classes: labels are 0 to num_classes - 1.
        x_train, x_validation, x_test: (n, size, size, 3), uint8, RGB, 0..255.
        y_train, y_validation, y_test: (n,), int32.
        class_names: what the labels mean; None if unknown.
        warnings: one line about each thing that may be unintended.
    """

    name: str
    source: str
    generated: bool
    num_classes: int
    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: ClassNames | None = None
    warnings: tuple[str, ...] = ()

    @property
    def image_size(self) -> int:
        """Side of an image in pixels."""
        return self.x_train.shape[1]

    @property
    def known_classes(self) -> ClassNames | None:
        """What the labels mean; None if the names only number the classes."""
        return meaningful(self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """16 digits of the SHA-256 of all images and labels: equal if two runs saw the same data."""
        digest = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_validation, self.y_validation, self.x_test, self.y_test):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    def averaged_to(self, size: int) -> "ImageData":
        """The same images at `size` x `size` pixels, each pixel the mean of a square of old ones.

        Raises:
            ValueError: the old side is not a multiple of the new one.
        """
        if size == self.image_size:
            return self
        factor, remainder = divmod(self.image_size, size) if size > 0 else (0, 1)
        if remainder or factor == 0:
            raise InvalidValue(
                f"Images are averaged to a size that divides their own, {self.image_size} pixels. "
                f"Received: image_size={size!r}."
            )

        def shrink(x: np.ndarray) -> np.ndarray:
            squares = x.reshape(len(x), size, factor, size, factor, 3)
            return np.rint(squares.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)

        return replace(
            self, x_train=shrink(self.x_train), x_validation=shrink(self.x_validation), x_test=shrink(self.x_test)
        )

    def all_to_train_on(self) -> "ImageData":
        """The same images with none held out; the errors along the way are those of the test images, as in Figure 6."""
        labels = np.concatenate([self.y_train, self.y_validation])
        return replace(
            self,
            x_train=np.concatenate([self.x_train, self.x_validation]),
            y_train=labels,
            x_validation=self.x_test,
            y_validation=self.y_test,
            warnings=(*_without_images(labels, self.num_classes, self.class_names, self.source), NONE_HELD_OUT),
        )

    @property
    def description(self) -> Description:
        """What `run.json` records about the data."""
        return Description(
            name=self.name,
            source=self.source,
            generated=self.generated,
            fingerprint=self.fingerprint,
            num_classes=self.num_classes,
            image_size=self.image_size,
            train_images=len(self.x_train),
            validation_images=len(self.x_validation),
            test_images=len(self.x_test),
            class_names=self.known_classes,
            warnings=self.warnings,
        )

    def stream(
        self, batch_size: int, seed: int, augmentation: PaddedCrop | ScaledCrop, rows: range | None = None
    ) -> Stream:
        """Training batches: padded, cropped and mirrored."""
        if not isinstance(augmentation, PaddedCrop):
            raise InvalidValue(f"Images in memory are padded and cropped. Received: {augmentation!r} for {self.name}.")
        return Stream(self.x_train, self.y_train, batch_size, seed, augmentation, rows)

    def validation_batches(self) -> ArrayBatches:
        """The held-out images."""
        return ArrayBatches(self.x_validation, self.y_validation)

    def test_batches(self) -> ArrayBatches:
        """The test images."""
        return ArrayBatches(self.x_test, self.y_test)

    def mean(self) -> np.ndarray:
        """The mean of each pixel over the training images: (size, size, 3), on a scale of 0..255."""
        # In chunks: a float64 copy of all of CIFAR-10 would take a gigabyte.
        starts = range(0, len(self.x_train), 1000)
        chunks = (self.x_train[start : start + 1000].sum(axis=0, dtype=np.float64) for start in starts)
        return np.sum(list(chunks), axis=0) / len(self.x_train)


def image_data(
    *,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    name: str = "images",
    source: str = "arrays in memory",
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    validation: int | None = None,
    generated: bool = False,
) -> ImageData:
    """Images in arrays, as `run` takes them: checked, and with the last `validation` training images held out.

    If the images are sorted by class, or the last ones have a class that the others lack, evenly spread images are held
    out instead, and a warning says so.

    Args:
        name: see `ImageData`.
        source: see `ImageData`.
        generated: see `ImageData`.
        train: images (n, size, size, 3) in 0..255 and integer labels (n,) or (n, 1).
        test: likewise.
        num_classes: None counts the names or, without names, the classes of the training labels.
        class_names: what the labels mean.
        validation: number of images held out; None takes a tenth.

    Raises:
        ValueError: shapes, types or values are not as above, with the array's name; or the classes were counted and one
            of them has no training image.
    """
    x_train, y_train = _images(train[0], "x_train"), _labels(train[1], "y_train", len(train[0]))
    x_test, y_test = _images(test[0], "x_test"), _labels(test[1], "y_test", len(test[0]))
    if x_test.shape[1:] != x_train.shape[1:]:
        raise InvalidValue(
            "Training and test images have the same shape. "
            f"Received: x_train {x_train.shape[1:]}, x_test {x_test.shape[1:]}."
        )
    if num_classes is None:
        num_classes = _counted(y_train, source) if class_names is None else len(class_names)
    if class_names is not None and not len(class_names) == len(set(class_names)) == num_classes:
        raise InvalidValue(
            f"Each of the {num_classes:,} classes has its own name. Received: {len(class_names):,} names, "
            f"{len(set(class_names)):,} of them different, in {source}."
        )
    for field, labels in (("y_train", y_train), ("y_test", y_test)):
        if labels.min() < 0 or labels.max() >= num_classes:
            raise InvalidValue(
                f"Labels are 0 to {num_classes - 1}. "
                f"Received: {field} from {labels.min()} to {labels.max()} in {source}."
            )
    if num_classes < 2:
        raise InvalidValue(f"A classifier needs at least two classes. Received: only label 0 in y_train of {source}.")
    count = max(1, round(VALIDATION_SHARE * len(x_train))) if validation is None else validation
    if len(x_train) <= count:
        raise InvalidValue(f"Training needs more than {count} images. Received: {len(x_train)} in {source}.")
    kept, held_out, warnings = held_out_of(y_train, count, source)
    warnings += _without_images(y_train[kept], num_classes, class_names, source)
    return ImageData(
        name=name,
        source=source,
        generated=generated,
        num_classes=num_classes,
        x_train=x_train[kept],
        y_train=y_train[kept],
        x_validation=x_train[held_out],
        y_validation=y_train[held_out],
        x_test=x_test,
        y_test=y_test,
        class_names=None if class_names is None else tuple(class_names),
        warnings=tuple(warnings),
    )


def _without_images(y_train: np.ndarray, num_classes: int, class_names: Sequence[str] | None, source: str) -> list[str]:
    """A warning if there are classes that no training image has."""
    without = np.setdiff1d(np.arange(num_classes), y_train)
    if not len(without):
        return []
    listed = [f"{label} ({class_names[label]})" if class_names else str(label) for label in without[:LISTED]]
    return [
        f"{len(without):,} of {num_classes:,} classes have no training images in {source} and cannot be learnt: "
        f"{', '.join(listed)}{', ...' if len(without) > LISTED else ''}."
    ]


def _counted(y_train: np.ndarray, source: str) -> int:
    """Number of classes in the labels: each from 0 to the largest has an image, or some label is a mistake."""
    labels = np.unique(y_train)
    if labels[0] < 0 or labels[-1] + 1 == len(labels):
        return int(labels[-1]) + 1
    first = next(label for label in range(len(labels)) if labels[label] != label)
    raise InvalidValue(
        "Labels are 0 to classes - 1, each with a training image; if some have none, an array class_names in the .npz "
        f"file names all classes. Received: y_train of {source} with {len(labels)} labels from {labels[0]} to "
        f"{labels[-1]}, without {first}."
    )


def _images(x: np.ndarray, field: str) -> np.ndarray:
    square = x.ndim == 4 and x.shape[1] == x.shape[2] and x.shape[3] == 3 and len(x) > 0
    if not square:
        raise InvalidValue(f"Images have the shape (n, size, size, 3). Received: {field} of shape {x.shape}.")
    if x.dtype == np.uint8:
        return x
    if not (np.issubdtype(x.dtype, np.integer) or np.issubdtype(x.dtype, np.floating)):
        raise InvalidValue(f"Pixels are numbers in 0..255. Received: {field} of type {x.dtype}.")
    low, high = x.min(), x.max()
    if not (low >= 0 and high <= 255):  # False for NaN too
        raise InvalidValue(f"Pixels are 0..255. Received: {field} from {low} to {high}.")
    if high <= 1 and np.issubdtype(x.dtype, np.floating):
        raise InvalidValue(f"Pixels are 0..255. Received: {field} from {low} to {high}: multiply by 255.")
    return np.rint(x).astype(np.uint8)


def _labels(y: np.ndarray, field: str, images: int) -> np.ndarray:
    if y.shape not in ((images,), (images, 1)) or not np.issubdtype(y.dtype, np.integer):
        raise InvalidValue(
            f"{field} holds {images} whole numbers, one per image. Received: {y.dtype} of shape {y.shape}."
        )
    if y.min() < LABELS.min or y.max() > LABELS.max:  # other labels would change class
        raise InvalidValue(f"Labels are at most {LABELS.max:,}. Received: {field} from {y.min()} to {y.max()}.")
    return y.reshape(images).astype(LABELS.dtype)
