"""What `run.json` says of left-out photographs names no folder of this machine, on POSIX or Windows."""

from pathlib import PurePosixPath, PureWindowsPath

import pytest

from resnet_keras.data.photographs.batches import _below

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    ("data_dir", "location", "said"),
    [
        (PurePosixPath("/data/photos"), "/data/photos/train/cat/1.jpg", "train/cat/1.jpg"),
        (PurePosixPath("photos"), "photos/val/in the sun/1.jpg", "val/in the sun/1.jpg"),
        (PurePosixPath("/data"), "image 3 of val in /data/imagenette/1.0.0", "image 3 of val in imagenette/1.0.0"),
        (PurePosixPath("/data/imagenette/1.0.0"), "image 3 of val in /data/imagenette/1.0.0", "image 3 of val"),
        (PureWindowsPath(r"D:\photos"), r"D:\photos\train\cat\1.jpg", "train/cat/1.jpg"),
        (PureWindowsPath(r"d:\Photos"), r"D:\photos\train\cat in box\1.jpg", "train/cat in box/1.jpg"),
        (PureWindowsPath(r"D:\d"), r"image 3 of val in D:\d\imagenette\1.0.0", "image 3 of val in imagenette/1.0.0"),
        (PurePosixPath("/data"), "/database/1.jpg", "/database/1.jpg"),
    ],
)
def test_a_location_without_the_path_of_this_machine(data_dir, location, said):
    assert _below(data_dir, location) == said
