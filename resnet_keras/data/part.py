"""A part of any data, small images or photographs, to test or measure nets on."""

from os import PathLike

from resnet_keras.data.choice import choose
from resnet_keras.data.photographs.sources import load_split
from resnet_keras.data.photographs.split import Part, Split
from resnet_keras.data.small import sources
from resnet_keras.data.small.images import ImageData


def load(data_dir: str | PathLike[str] | None, part: Part, dataset: str | None = None) -> ImageData | Split:
    """What `--data-dir` and `--dataset` name: small images whole and in memory, of photographs that part.

    Args:
        data_dir: see `data.choice`; None is where `small.sources` looks.
        part: of photographs.
        dataset: which set of a folder of TensorFlow Datasets; None is the only one.

    Raises:
        OSError: nothing there, files that cannot be read, or several sets and nothing says which.
        ValueError: images or labels out of range.
    """
    if data_dir is None:
        return sources.load(None, dataset)
    found = choose(data_dir, dataset)
    return sources.load(found.path) if found.small else load_split(found.path, part)
