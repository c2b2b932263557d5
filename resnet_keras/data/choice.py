"""Which data a path refers to, decided here once for every recipe.

x.npz, or a folder or pattern of .npz parts       a user's arrays
cifar-10-batches-py, -bin, or their archive       CIFAR-10 as its site, Keras and torchvision store it
<name>/<version>/dataset_info.json                sets prepared by TensorFlow Datasets
train/<class>/*, val/<class>/*                    photographs
"""

import json
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from resnet_keras.errors import InputOutput

Kind = Literal["arrays", "cifar10 files", "prepared", "photographs"]
SMALL = 64
"""Pixels: a prepared set is read into memory if its images have one fixed size, at most this."""
CIFAR10_FOLDERS = ("cifar-10-batches-py", "cifar-10-batches-bin", "cifar-10-batches-py-target/cifar-10-batches-py")
CIFAR10_ARCHIVES = ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "cifar-10-batches-py-target_archive")
"""The original site's names, and those that Keras and torchvision give to what they unpack."""
CIFAR10_MEMBERS = ("data_batch_1", "data_batch_1.bin")
ARCHIVE_ENDS = (".tar.gz", ".tgz", ".tar")
LAYOUT = (
    "--data-dir holds train/<class>/* and val/<class>/*, a data set prepared by TensorFlow Datasets "
    "(<name>/<version>/dataset_info.json) or CIFAR-10 as stored by its site, Keras or torchvision "
    "(cifar-10-batches-py, cifar-10-python.tar.gz), or is an .npz file or a folder of .npz parts."
)


@dataclass(frozen=True)
class Choice:
    """The data that a path refers to.

    Attributes:
        kind: how the data is read.
        path: the file, folder or pattern; for a prepared set, the folder of its version.
    """

    kind: Kind
    path: Path

    @property
    def small(self) -> bool:
        """Whether the images are read into memory."""
        return self.kind in ("arrays", "cifar10 files") or (self.kind == "prepared" and _fixed_size(self.path) <= SMALL)


def choose(data_dir: str | PathLike[str], dataset: str | None = None, *, usual: str | None = None) -> Choice:
    """The data that `--data-dir` and `--dataset` refer to.

    Args:
        data_dir: what the user named.
        dataset: which set in a TensorFlow Datasets folder; None means the usual one or, without that, the only one.
        usual: the set that a recipe is written for.

    Raises:
        OSError: nothing is there, it cannot be read, or it holds several sets and nothing says which.
    """
    data_dir = Path(data_dir)
    try:
        found = _choose(data_dir, dataset, usual)
    except OSError as error:
        if isinstance(error, InputOutput):
            raise
        raise InputOutput(
            f"--data-dir names a readable folder. Received: {error.filename or data_dir} ({error.strerror})."
        ) from None
    if dataset is not None and found.kind != "prepared" and not (dataset == "cifar10" and found.kind != "photographs"):
        raise InputOutput(
            f"--dataset names a data set prepared by TensorFlow Datasets. Received: {dataset} for {data_dir}."
        )
    return found


def _choose(data_dir: Path, dataset: str | None, usual: str | None) -> Choice:
    if data_dir.suffix == ".npz":
        return Choice("arrays", data_dir)
    if not data_dir.exists():
        raise InputOutput(f"{LAYOUT} Not found: {data_dir}.")
    if data_dir.is_file():
        if data_dir.name.endswith((*ARCHIVE_ENDS, *CIFAR10_ARCHIVES)):
            return Choice("cifar10 files", data_dir)
        raise InputOutput(f"{LAYOUT} Received: {data_dir}.")
    versions, photographs = prepared_sets(data_dir), any((data_dir / part).is_dir() for part in ("train", "val"))
    if versions and (dataset is not None or not photographs):
        return Choice("prepared", _one(data_dir, versions, dataset, usual))
    if photographs:
        return Choice("photographs", data_dir)
    if (files := cifar10_files(data_dir)) is not None:
        return Choice("cifar10 files", files)
    if any(data_dir.glob("*.npz")):
        return Choice("arrays", data_dir)
    raise InputOutput(f"{LAYOUT} Received: {data_dir}.")


def cifar10_files(folder: Path) -> Path | None:
    """CIFAR-10's original files: the folder itself, or a folder or archive in it; None if they are not there."""
    for path in (folder, *(folder / name for name in CIFAR10_FOLDERS)):
        if any((path / name).is_file() for name in CIFAR10_MEMBERS):
            return path
    return next((folder / name for name in CIFAR10_ARCHIVES if (folder / name).is_file()), None)


def prepared_sets(folder: Path) -> dict[str, list[Path]]:
    """Sets in a folder prepared by TensorFlow Datasets: the folders of their versions, newest first, by name."""
    found: dict[str, list[Path]] = {}
    for depth in range(4):
        for info in sorted(folder.glob("*/" * depth + "dataset_info.json")):
            found.setdefault(_name(info), []).append(info.parent)
    return {name: sorted(paths, key=_version, reverse=True) for name, paths in found.items()}


def _one(data_dir: Path, versions: dict[str, list[Path]], dataset: str | None, usual: str | None) -> Path:
    names = sorted(versions)
    wanted = dataset or (usual if usual in versions else names[0] if len(names) == 1 else None)
    if wanted is None:
        raise InputOutput(f"A folder holds one data set, or --dataset names one. Received: {data_dir} with {names}.")
    if wanted not in versions:
        raise InputOutput(f"--dataset names a prepared data set. Received: {wanted} for {data_dir} with {names}.")
    configurations = sorted({path.parent for path in versions[wanted]})
    if len(configurations) > 1:
        listed = ", ".join(str(path) for path in configurations)
        raise InputOutput(f"{wanted} has several configurations. Received: {listed}. Name one with --data-dir.")
    return versions[wanted][0]


def _name(info: Path) -> str:
    try:
        name = json.loads(info.read_text(encoding="utf-8")).get("name")
    except (OSError, ValueError, AttributeError, RecursionError):  # the set's reader reports what is wrong with it
        name = None
    return name if isinstance(name, str) else info.parent.parent.name


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", path.name))


def _fixed_size(folder: Path) -> float:
    """The longer side, in pixels, of a prepared set's images; infinite if they vary in size."""
    try:
        features = json.loads((folder / "features.json").read_text(encoding="utf-8"))["featuresDict"]["features"]
        return max(float(side) for side in features["image"]["image"]["shape"]["dimensions"][:2] if int(side) > 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return float("inf")
