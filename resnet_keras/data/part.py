"""One part of any data, small images or photographs, to test or measure nets on."""

from os import PathLike

from resnet_keras.data.choice import choose
from resnet_keras.data.photographs.sources import load_split
from resnet_keras.data.photographs.split import Part, Split
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
