"""One part of any data, small images or photographs, to test or measure nets on."""

from os import PathLike

import numpy as np

from resnet_keras.data.choice import choose
from resnet_keras.data.photographs.sources import load_split
from resnet_keras.data.photographs.split import Part, Split, spread
from resnet_keras.data.photographs.views import SingleView
from resnet_keras.data.small import sources
from resnet_keras.data.small.images import ImageData


def load(data_dir: str | PathLike[str] | None, part: Part, dataset: str | None = None) -> ImageData | Split:
    """The data that `--data-dir` and `--dataset` name: all small images, in memory, or one part of the photographs.

    Args:
        data_dir: see `data.choice`; None searches where `small.sources` does.
        part: which part of the photographs.
        dataset: which set in a TensorFlow Datasets folder; None means the only one.

    Raises:
        OSError: nothing is there, files cannot be read, or there are several sets and nothing says which.
        ValueError: images or labels are out of range.
    """
    if data_dir is None:
        return sources.load(None, dataset)
    found = choose(data_dir, dataset)
    return sources.load(found.path) if found.small else load_split(found.path, part)


def single_views(data: ImageData | Split, part: Part, most: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """At most so many images of a part, evenly spread over it, and their labels.

    Args:
        data: small images, of which the training or test images are taken as they are; or photographs.
        part: which part of the small images; "val" is the test images.
        most: number of images.
        size: side in pixels of the crops from the centre of photographs.

    Returns:
        uint8 of shape (images, side, side, 3), and integers of shape (images,).

    Raises:
        OSError: a photograph cannot be read.
    """
    if isinstance(data, ImageData):
        x, y = (data.x_train, data.y_train) if part == "train" else (data.x_test, data.y_test)
        chosen = spread(len(x), min(most, len(x)))
        return x[chosen], y[chosen]
    split = data.limited(min(most, len(data)))
    photographs = [split.photograph(number) for number in range(len(split))]
    view = SingleView(size)
    return np.stack([view.of(one)[0] for one, _ in photographs]), np.array([label for _, label in photographs])
