"""Where images come from: CIFAR-10 through TensorFlow Datasets, or a user's own `.npz`."""

import io
import os
import socket
import zipfile
import zlib
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from resnet_keras.data.small.images import CIFAR10_VALIDATION, ImageData, split
from resnet_keras.errors import InputOutput

CIFAR10_HOST = "www.cs.toronto.edu"
"""Where TensorFlow Datasets downloads CIFAR-10 from."""
REACHABLE_SECONDS = 3.0
"""TensorFlow Datasets itself retries for minutes before it says that there is no network."""
PREPARE = (
    'python -c "import tensorflow_datasets as tfds; '
    "tfds.builder('cifar10', file_format='array_record'{where}).download_and_prepare()\""
)
NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


class NotAvailable(InputOutput):
    """The images are neither on disk nor reachable."""


def load(data_dir: str | PathLike[str] | None) -> ImageData:
    """The images that `--data-dir` names.

    Args:
        data_dir: a folder of TensorFlow Datasets that holds CIFAR-10, or a `.npz` file; None is TensorFlow Datasets'
            own folder (`TFDS_DATA_DIR`, else ~/tensorflow_datasets), into which CIFAR-10 is downloaded if it is not
            there yet.

    Raises:
        OSError: nothing there, and no way to download it; or files that cannot be read.
        ValueError: images or labels out of range.
    """
    data_dir = None if data_dir is None else Path(data_dir)
    if data_dir is not None and data_dir.suffix == ".npz":
        return npz(data_dir)
    return cifar10(data_dir)


def npz(path: Path) -> ImageData:
    """A user's own images: x_train, y_train, x_test, y_test; the last tenth of the training images is held out.

    Raises:
        OSError: no such file, not an `.npz`, or an array is missing.
        ValueError: images or labels out of range.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array without a name")
        with loaded as file:
            missing = [name for name in NPZ_ARRAYS if name not in file]
            if missing:
                raise InputOutput(f"An .npz holds {', '.join(NPZ_ARRAYS)}. Missing in {path}: {', '.join(missing)}.")
            arrays = {name: file[name] for name in NPZ_ARRAYS}
    except FileNotFoundError:
        raise InputOutput(f"--data-dir names a folder or an .npz file. Not found: {path}.") from None
    except InputOutput:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputOutput(f"An .npz is written by numpy.savez, without objects. Received: {path} ({error}).") from None
    return split(
        name=path.stem,
        source=path.name,
        train=(arrays["x_train"], arrays["y_train"]),
        test=(arrays["x_test"], arrays["y_test"]),
    )


def cifar10(data_dir: Path | None = None) -> ImageData:
    """CIFAR-10, 45,000 + 5,000 + 10,000 images: array_record files need no TensorFlow, TFRecord files do.

    Args:
        data_dir: a folder that TensorFlow Datasets has prepared, or None, see `load`.

    Raises:
        OSError: CIFAR-10 is not there and, for None, cannot be downloaded.
    """
    check_folder(data_dir)
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise NotAvailable(
            f'CIFAR-10 is read with tensorflow-datasets. Not installed: {error.name}. pip install "resnet_keras[data]"'
        ) from None
    tfds.disable_progress_bar()
    if data_dir is not None and (data_dir / "dataset_info.json").exists():
        builder = tfds.builder_from_directory(data_dir)
    else:
        builder = tfds.builder("cifar10", data_dir=data_dir)
    if builder.name != "cifar10":
        raise InputOutput(f"--data-dir holds CIFAR-10, or is an .npz file. Received: {data_dir} with {builder.name}.")
    if not builder.is_prepared():
        _download(tfds, builder, data_dir)
        builder = tfds.builder("cifar10", data_dir=data_dir)
    (x_train, y_train), (x_test, y_test) = (_read(tfds, builder, part) for part in ("train", "test"))
    return split(
        name="CIFAR-10",
        source=f"TensorFlow Datasets {builder.info.full_name}",
        train=(x_train, y_train),
        test=(x_test, y_test),
        num_classes=10,
        validation=min(CIFAR10_VALIDATION, len(x_train) // 2),
    )


def check_folder(data_dir: Path | None) -> None:
    """Before any long work: a folder that the user named has to be there and hold something.

    Raises:
        OSError: it does not.
    """
    if data_dir is None:
        return
    hint = PREPARE.format(where=f", data_dir={str(data_dir)!r}")
    if not data_dir.exists():
        raise InputOutput(
            f"--data-dir names a folder of TensorFlow Datasets. Not found: {data_dir}. Get CIFAR-10: {hint}"
        )
    if data_dir.suffix == ".npz":
        return
    if not data_dir.is_dir():
        raise InputOutput(f"--data-dir names a folder, or a file that ends in .npz. Received: {data_dir}.")
    try:
        prepared = [*data_dir.glob("cifar10/*/dataset_info.json"), *data_dir.glob("dataset_info.json")]
    except OSError as error:
        raise InputOutput(
            f"--data-dir names a folder that can be read. Received: {data_dir} ({error.strerror})."
        ) from None
    if not prepared:
        raise InputOutput(
            f"--data-dir holds cifar10/<version>/dataset_info.json. Received: {data_dir}. Get CIFAR-10: {hint}"
        )


def _download(tfds: Any, builder: Any, data_dir: Path | None) -> None:
    hint = PREPARE.format(where="" if data_dir is None else f", data_dir={str(data_dir)!r}")
    where = os.fspath(builder.data_dir)
    if data_dir is not None:
        raise NotAvailable(f"CIFAR-10 is read from a prepared folder. Not complete: {where}. Get it: {hint}")
    if find_spec("tensorflow") is None:
        raise NotAvailable(
            f"CIFAR-10 is read from {where}, or downloaded, for which TensorFlow Datasets needs TensorFlow. "
            "It is not there, and TensorFlow is not installed. "
            f"Name a folder with --data-dir, or: pip install tensorflow && {hint}"
        )
    try:
        socket.create_connection((CIFAR10_HOST, 443), timeout=REACHABLE_SECONDS).close()
    except OSError:
        raise NotAvailable(
            f"CIFAR-10 is read from {where} or downloaded. Neither there, nor is {CIFAR10_HOST} reachable. "
            f"Name a folder with --data-dir, or, with a network: {hint}"
        ) from None
    try:
        tfds.builder("cifar10", file_format="array_record").download_and_prepare()
    except Exception as error:  # TensorFlow Datasets passes on whatever its downloader and writer raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotAvailable(f"CIFAR-10 could not be downloaded to {where} ({reason}). Try: {hint}") from error


def _read(tfds: Any, builder: Any, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Decodes a split once."""
    count = builder.info.splits[part].num_examples
    x, y = np.empty((count, 32, 32, 3), np.uint8), np.empty(count, np.int32)
    try:
        if str(builder.info.file_format.value) == "array_record":
            from PIL import Image

            # Decoded here: TensorFlow Datasets' own decoding takes twice as long for images this small.
            source = builder.as_data_source(split=part, decoders={"image": tfds.decode.SkipDecoding()})
            for index in range(count):
                example = source[index]
                x[index] = np.asarray(Image.open(io.BytesIO(example["image"])).convert("RGB"))
                y[index] = example["label"]
        else:
            if find_spec("tensorflow") is None:
                raise InputOutput(
                    f"TFRecord files are read with TensorFlow, which is not installed. Received: {builder.data_dir}. "
                    "Install it: pip install tensorflow"
                )
            dataset = builder.as_dataset(split=part, read_config=tfds.ReadConfig(interleave_cycle_length=1))
            read = 0
            for read, example in enumerate(tfds.as_numpy(dataset), start=1):
                x[read - 1], y[read - 1] = example["image"], example["label"]
            if read != count:
                raise InputOutput(f"The {part} split has {count} images. Received: {read} in {builder.data_dir}.")
    except InputOutput:
        raise
    except Exception as error:  # whatever array_record, Pillow and tf.data raise for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputOutput(f"The {part} split of {builder.data_dir} could not be read ({reason}).") from error
    return x, y
