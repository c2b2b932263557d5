"""A user's own images: an `.npz` file, or several that are concatenated."""

import re
from pathlib import Path

import numpy as np

from resnet_keras.data.small.images import ImageData, image_data
from resnet_keras.errors import InputOutput, first_line, readable

NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
CLASS_NAMES = "class_names"


def read(path: Path) -> ImageData:
    """Reads x_train, y_train, x_test, y_test and any class_names; `image_data` holds out a tenth.

    Args:
        path: an `.npz` file, a folder of them, or a pattern like `cifar10-part-*.npz`. Of several files, each has a
            part of some arrays; parts are concatenated in the order of the file names, numbers compared as numbers.

    Raises:
        OSError: there is no such file, it is not an `.npz`, or an array is missing.
        ValueError: images or labels are out of range.
    """
    files = _files(path)
    found: dict[str, list[np.ndarray]] = {}
    for file in files:
        for name, array in _arrays(file).items():
            found.setdefault(name, []).append(array)
    missing = [name for name in NPZ_ARRAYS if name not in found]
    if missing:
        raise InputOutput(f"An .npz file holds {', '.join(NPZ_ARRAYS)}. Missing from {path}: {', '.join(missing)}.")
    names = found.pop(CLASS_NAMES, [])
    if names and (names[0].ndim != 1 or names[0].dtype.kind not in "US"):
        raise InputOutput(
            f"class_names is a list of strings. Received: {names[0].dtype} of shape {names[0].shape} in {path}."
        )
    if any(other.tolist() != names[0].tolist() for other in names):
        raise InputOutput(f"All parts of a data set have the same class_names. Received: {path} with different ones.")
    try:
        arrays = {name: parts[0] if len(parts) == 1 else np.concatenate(parts) for name, parts in found.items()}
    except ValueError as error:
        raise InputOutput(
            f"All parts of a data set have images of the same shape. Received: {path} ({error})."
        ) from None
    return image_data(
        name=readable(path.stem if len(files) == 1 else path.parent.name if "*" in path.name else path.name),
        source=readable(files[0].name if len(files) == 1 else f"{files[0].name} to {files[-1].name}"),
        train=(arrays["x_train"], arrays["y_train"]),
        test=(arrays["x_test"], arrays["y_test"]),
        class_names=[_text(name) for name in names[0].tolist()] if names else None,
    )


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = path.glob("*.npz")
    elif "*" in path.name and not path.exists():
        found = path.parent.glob(path.name)
    else:
        return [path]
    files = sorted(
        found, key=lambda file: [int(part) if part.isdecimal() else part for part in _PARTS.split(file.name)]
    )
    if not files:
        raise InputOutput(f"--data-dir names .npz files. Not found: {path}.")
    return files


_PARTS = re.compile(r"(\d+)")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is a device or a pipe, not a file")  # reading one would block
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array without a name")
        with loaded as file:
            arrays = {name: file[name] for name in (*NPZ_ARRAYS, CLASS_NAMES) if name in file}
        if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{strange[0]} is not an array")  # NumPy returns the bytes of a member that is not .npy
        return arrays
    except FileNotFoundError:
        raise InputOutput(f"--data-dir names a folder or an .npz file. Not found: {path}.") from None
    except Exception as error:  # whatever zipfile and NumPy raise for an archive that another program packed
        reason = first_line(error)
        raise InputOutput(
            f"An .npz file is written by numpy.savez, without object arrays. Received: {path} ({reason})."
        ) from None


def _text(name: str | bytes) -> str:
    return name.decode(errors="backslashreplace") if isinstance(name, bytes) else name
