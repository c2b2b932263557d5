"""`save`: writes a net and its description to one `.keras` file, which both `load` and plain Keras open."""

from os import PathLike
from pathlib import Path

import keras

from resnet_keras.errors import InvalidValue, shown
from resnet_keras.nets.build import class_names_of, network_of
from resnet_keras.nets.serializing import without_tensorflow
from resnet_keras.runs import storage
from resnet_keras.spec.class_names import ClassNames
from resnet_keras.spec.network import Network
from resnet_keras.weights import archive

SUFFIX = ".keras"


def save(model: keras.Model, path: str | PathLike[str], network: Network | None = None) -> None:
    """Writes a net completely or not at all: an existing file stays until the new one is on disk.

    Args:
        model: one that `build` or `load` made.
        path: the file to write, which ends in `.keras`; missing folders are created.
        network: the network of the model; None takes the one that it was built from.

    Raises:
        ValueError: the path has another ending, or the network of the model is unknown.
        OSError: the file cannot be written.
    """
    target, network = Path(path), network or network_of(model)
    if target.suffix != SUFFIX:
        raise InvalidValue(f"A net is saved to a {SUFFIX} file. Received: {shown(str(path))}.")
    if network is None:
        raise InvalidValue(
            f"A saved net says which network it is. Received: {model.name!r}, which neither build nor load made. "
            "Pass its network: save(model, path, cifar10(20))."
        )
    storage.atomic_replace(target, lambda aside: write(model, aside, network, class_names_of(model)))


def write(model: keras.Model, path: Path, network: Network | None, class_names: ClassNames | None = None) -> None:
    """Writes a file in place; without a network, Keras opens it but `load` refuses it.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        with without_tensorflow():
            model.save(path)
    except RuntimeError as error:  # what HDF5 raises when a file cannot be written
        raise OSError(str(error)) from error
    if network is not None:
        archive.add_network(path, network.to_dict(), class_names)
