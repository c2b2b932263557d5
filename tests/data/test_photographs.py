"""Photographs for training (section 3.4): files of every kind, augmentation by hand, order, and both sources."""

import os
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import run_python
from photograph_files import CLASSES, picture, prepare, write_folder

from resnet_keras import InputOutput, InvalidValue
from resnet_keras.data.photographs import batches as photographs
from resnet_keras.data.photographs import sources, split
from resnet_keras.data.photographs.augmentation import Drawn, augmented, colour_shift, draw
from resnet_keras.data.photographs.decoding import decode
from resnet_keras.data.small.stream import order
from resnet_keras.spec.augmentation import ScaledCrop

Image = pytest.importorskip("PIL.Image")
with suppress(ImportError):
    # Before any thread decodes: importing TensorFlow while Pillow works in a thread has crashed the process.
    import tensorflow_datasets  # noqa: F401
pytestmark = pytest.mark.any_backend

PAPER = ScaledCrop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("photographs") / "flowers")


@pytest.fixture
def own_folder(tmp_path):
    return write_folder(tmp_path / "flowers", images=2)


def encoded(image, file, **options):
    image.save(file, **options)
    return file.read_bytes()


# One file.


def test_grey_is_rgb_with_three_equal_channels(tmp_path):
    grey = picture(3).convert("L")
    mine = decode(encoded(grey, tmp_path / "grey.png"), "grey.png")
    as_rgb = decode(encoded(Image.merge("RGB", [grey] * 3), tmp_path / "rgb.png"), "rgb.png")
    assert mine.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(mine), np.asarray(as_rgb))


def test_cmyk_palette_and_transparent_files_are_rgb(tmp_path):
    rgb = picture(4)
    cyan = Image.new("CMYK", (20, 10), (255, 0, 0, 51))
    # By hand: (255 - ink) * (255 - black) / 255
    got = np.asarray(decode(encoded(cyan, tmp_path / "cmyk.tiff"), "cmyk"))
    assert np.abs(got.astype(int) - [0, 204, 204]).max() <= 1
    palette = rgb.quantize(256)
    got = decode(encoded(palette, tmp_path / "palette.png"), "palette")
    np.testing.assert_array_equal(np.asarray(got), np.asarray(palette.convert("RGB")))
    transparent = rgb.copy()
    transparent.putalpha(7)
    np.testing.assert_array_equal(np.asarray(decode(encoded(transparent, tmp_path / "a.png"), "a")), np.asarray(rgb))


def test_the_orientation_tag_is_not_applied(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6  # turned by 90 degrees
    data = encoded(picture(5, 40, 56), tmp_path / "turned.jpg", exif=tags)
    assert decode(data, "turned").size == (56, 40)


def sixteen_bits(file):
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(file)


def sixteen_bit_rgb(file):
    """By hand, from the PNG specification: Pillow cannot write 16-bit RGB."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes(16 * 6)) * 16)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def animated(file, kind="GIF"):
    picture(1).save(file, format=kind, save_all=True, append_images=[picture(2)])


def truncated(file):
    picture(1, 100, 100).save(file, format="JPEG")
    file.write_bytes(file.read_bytes()[:900])


BAD = {
    "empty.jpg": (lambda file: file.write_bytes(b""), "empty"),
    "text.jpg": (lambda file: file.write_text("an image\n"), "which is not a JPEG"),
    "truncated.jpg": (truncated, "cannot be decoded"),
    "one.png": (lambda file: Image.new("RGB", (1, 1)).save(file), "1 x 1 pixels"),
    "grey16.png": (sixteen_bits, "8 bits per channel"),
    "rgb16.png": (sixteen_bit_rgb, "8 bits per channel"),
    "animated.gif": (animated, "several frames"),
    "animated.webp": (lambda file: animated(file, "WEBP"), "several frames"),
    "long.png": (lambda file: Image.new("L", (30_000, 300)).save(file), "30000 x 300 pixels"),
    "thin.png": (lambda file: Image.new("L", (800, 20)).save(file), "16 times"),
    "bomb.png": (lambda file: Image.new("1", (30_000, 30_000)).save(file), "pixels"),
    "script.jpg": (lambda file: file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "not a JPEG"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_photograph_is_one_line_with_its_path(name, own_folder):
    write, text = BAD[name]
    path = own_folder / "train" / "n02" / name
    write(path)
    data = photographs.load(own_folder, 32)
    stream = data.stream(7, seed=0)
    with pytest.raises(InputOutput) as caught:
        stream.batch(0)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    assert text in line
    skipping = photographs.load(own_folder, 32, skip_bad=1)
    assert skipping.skipped == (f"train/n02/{name}",)
    assert len(skipping.train) == 6
    assert skipping.description.skipped == (f"train/n02/{name}",)
    assert skipping.description.fingerprint != data.description.fingerprint
    assert skipping.stream(7, seed=0).batch(0)[0].shape == (7, 32, 32, 3)


def test_more_bad_photographs_than_allowed_stop_with_the_path_of_one(own_folder):
    for part, name in (("train", "a.jpg"), ("val", "b.jpg")):
        (own_folder / part / "n03" / name).write_text("none")
    with pytest.raises(InputOutput, match=r"At most 1 .*b\.jpg.*--skip-bad"):
        photographs.load(own_folder, 32, skip_bad=1)
    assert photographs.load(own_folder, 32, skip_bad=2).skipped == ("train/n03/a.jpg", "val/n03/b.jpg")


# The folder.


def test_classes_differ(own_folder):
    (own_folder / "val" / "n02").rename(own_folder / "val" / "n09")
    with pytest.raises(InvalidValue, match=r"n02 without .*val/n02, and 1 more") as caught:
        photographs.load(own_folder, 32)
    assert "\n" not in str(caught.value)


def test_folders_that_are_no_data_set_are_named(own_folder, tmp_path, monkeypatch):
    with pytest.raises(InvalidValue, match=r"3 classes in .*, where 1000"):
        photographs.load(own_folder, 32, num_classes=1000)
    (own_folder / "train" / "n04").mkdir()
    with pytest.raises(InputOutput, match=r"train/n04, which is empty"):
        photographs.load(own_folder, 32)
    (own_folder / "train" / "n04" / "list.txt").write_text("x")
    with pytest.raises(InputOutput, match=r"train/n04/list\.txt"):
        photographs.load(own_folder, 32)
    for empty in (tmp_path / "absent", tmp_path):
        with pytest.raises(InputOutput, match=str(empty)):
            photographs.load(empty, 32)

    def forbidden(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", forbidden)  # a superuser can read any folder
    with pytest.raises(InputOutput, match=r"a readable folder\. Received: .*train \(Permission denied\)"):
        photographs.load(own_folder, 32)


def test_a_data_set_says_what_it_is_without_this_machines_path(folder):
    data = photographs.load(folder, 32)
    assert data.train.class_names == CLASSES
    said = data.description.to_dict()
    assert (said["name"], said["num_classes"], said["train_images"], said["validation_images"]) == ("flowers", 3, 39, 6)
    assert said["generated"] is False
    assert str(folder) not in str(said)


# Order and augmentation.


def test_every_epoch_has_every_photograph_once_and_runs_on_into_the_next(folder):
    data = photographs.load(folder, 16)
    stream = data.stream(batch_size=10, seed=4)
    labels = np.concatenate([stream.batch(i)[1] for i in range(8)])  # 80 places: epochs of 39, 39 and 2
    of = data.train.reader.labels
    for epoch in (0, 1):
        np.testing.assert_array_equal(labels[39 * epoch :][:39], of[order(4, epoch, 39)])


def test_a_batch_depends_on_seed_and_iteration_alone(folder):
    data = photographs.load(folder, 16)
    first, other = data.stream(10, seed=1), data.stream(10, seed=1)
    batches = [first.batch(i) for i in range(6)]
    for iteration in (5, 0, 3):
        x, y = other.batch(iteration)
        np.testing.assert_array_equal(x, batches[iteration][0])
        np.testing.assert_array_equal(y, batches[iteration][1])
        assert (x.dtype, y.dtype) == (np.uint8, np.int32)
    assert (data.stream(10, seed=2).batch(0)[0] != batches[0][0]).any()
    first.close()


def test_what_is_drawn_is_new_each_epoch_and_uniform():
    drawn = [draw(PAPER, 0, epoch, index, 224) for epoch in range(20) for index in range(200)]
    assert len({(one.shorter_side, one.left, one.top) for one in drawn}) == 4000
    assert draw(PAPER, 0, 3, 5, 224).left == draw(PAPER, 0, 3, 5, 224).left
    sides = np.array([one.shorter_side for one in drawn])
    assert (sides.min(), sides.max()) == (256, 480)
    assert sides.mean() == pytest.approx(368, abs=3)  # uniform: standard deviation 65, that of the mean 1
    for share in ("left", "top", "mirrored"):
        assert np.mean([getattr(one, share) for one in drawn]) == pytest.approx(0.5, abs=0.03)
    alpha = np.stack([one.alpha for one in drawn])
    np.testing.assert_allclose(alpha.mean(axis=0), 0, atol=0.006)
    np.testing.assert_allclose(alpha.std(axis=0), 0.1, atol=0.005)
    assert {draw(PAPER, 0, 0, index, 64).shorter_side for index in range(3000)} == set(range(73, 138))  # times 64/224


def test_a_crop_is_cut_from_the_resized_image_or_its_mirror():
    """By hand: Pillow resizes the whole image, NumPy cuts."""
    image = picture(7, 300, 400)
    still = np.zeros(3)
    for left, top, mirrored in ((0.0, 0.0, False), (0.5, 0.25, True), (0.999, 0.999, False)):
        got = augmented(image, Drawn(270, left, top, mirrored, still), 224)
        whole = np.asarray(image.resize((360, 270), Image.Resampling.BILINEAR)).astype(int)
        x, y = int(left * 137), int(top * 47)  # 360 - 224 + 1 and 270 - 224 + 1 places
        expected = whole[y : y + 224, x : x + 224]
        difference = np.abs(got - (expected[:, ::-1] if mirrored else expected))
        assert difference.max() <= 2  # Pillow's box is float32, and it rounds after each of two passes
        assert difference.mean() < 0.1


def test_the_colour_moves_along_the_principal_components():
    # By hand: 255 * 0.2175 * 0.1 = 5.546 times the first eigenvector's R, G, B
    np.testing.assert_allclose(colour_shift(np.array([0.1, 0, 0])), [-3.1475, -3.2212, -3.2368], atol=1e-3)
    # Linear in alpha: with a Gaussian alpha, the shift's covariance is E diag((255 * 0.1 * eigenvalue)^2) E'
    both = colour_shift(np.array([0.1, -0.2, 0.3]))
    parts = [colour_shift(np.array(one)) for one in ([0.1, 0, 0], [0, -0.2, 0], [0, 0, 0.3])]
    np.testing.assert_allclose(both, sum(parts))
    grey = Image.new("RGB", (40, 40), (100, 1, 254))
    got = augmented(grey, Drawn(40, 0, 0, False, np.array([-0.1, 0, 0])), 32)
    assert got[0, 0].tolist() == [103, 4, 255]  # 103.1, 4.2, and 257.2 is clipped
    assert (got == got[0, 0]).all()


def test_centre_crops_are_the_validation_part_in_its_order(folder):
    data = photographs.load(folder, 32)
    batches = list(data.validation_batches(4))
    assert [len(y) for _, y in batches] == [4, 2]
    assert np.concatenate([y for _, y in batches]).tolist() == [0, 0, 1, 1, 2, 2]
    image = Image.open(folder / "val" / "n01" / "000.JPEG")  # 44 x 60; the shorter side becomes 256 * 32 / 224 = 37
    whole = np.asarray(image.resize((37, 50), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(batches[0][0][0] - whole[9:41, 2:34]).max() <= 1
    mean = np.mean([x for crops, _ in [next(iter(data.validation_batches(6)))] for x in crops], axis=(0, 1, 2))
    swapped = photographs.Photographs(data.validation, data.train, 32)
    np.testing.assert_allclose(swapped.mean(), mean)


def test_memory_does_not_grow_with_the_photographs_read(folder):
    stream = photographs.load(folder, 64).stream(8, seed=0)
    for iteration in range(4):
        stream.batch(iteration)
    tracemalloc.start()
    peaks = []
    for start in (4, 20, 36):
        tracemalloc.reset_peak()
        for iteration in range(start, start + 16):
            stream.batch(iteration)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    batch = 8 * 64 * 64 * 3
    assert peaks[2] < peaks[0] + 3 * batch  # for 32 more batches; how many are decoded at a time depends on threads


# TensorFlow Datasets.


BARE = """
import sys
from pathlib import Path
from resnet_keras.data.photographs import batches as photographs
data = photographs.load(Path(sys.argv[1]), 24)
x, y = data.stream(5, seed=0).batch(0)
print(x.shape, len(data.train), len(data.validation), "tensorflow" in sys.modules)
"""


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_tensorflow_datasets_are_read_without_tensorflow(tmp_path, folder, file_format):
    target = prepare(tmp_path / "tfds", folder, file_format)
    done = run_python("-c", BARE, str(target))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(5, 24, 24, 3) 39 6 False"
    data, files = photographs.load(target, 24), photographs.load(folder, 24)
    assert data.train.class_names == CLASSES
    assert data.description.source == "TensorFlow Datasets imagenet2012/5.1.0"

    def every(part):
        # TensorFlow Datasets shuffles what it writes: compare sets of photographs with their labels.
        found = [part.photograph(index) for index in range(len(part))]
        return {(np.asarray(image).tobytes(), label) for image, label in found}

    assert every(data.train) == every(files.train)
    assert every(data.validation) == every(files.validation)


def test_a_cut_tfrecord_is_refused_with_its_path(tmp_path, folder):
    target = prepare(tmp_path / "tfds", folder, "tfrecord")
    (shard,) = target.rglob("*train.tfrecord*")
    whole = shard.read_bytes()
    first = 12 + int.from_bytes(whole[:8], "little") + 4
    for cut in (first, first + 5, len(whole) - 3):  # after a record, in a header, in the last checksum
        shard.write_bytes(whole[:cut])
        with pytest.raises(InputOutput, match=shard.name) as caught:
            photographs.load(target, 24)
        assert "\n" not in str(caught.value)


def test_labels_and_data_sets_out_of_place(folder, tmp_path):
    data = sources.load_split(folder, "val")
    wrong = split.Split(data.name, data.source, CLASSES[:2], data.reader, data.fingerprint, data.indices)
    with pytest.raises(InvalidValue, match=r"Labels are 0 to 1\. Received: 2 in .*n03"):
        wrong.photograph(5)
    assert len(data.limited(3)) == 3
    assert [data.limited(3).photograph(index)[1] for index in range(3)] == [0, 1, 2]  # spread over the classes
    assert data.limited(3).fingerprint != data.fingerprint


# The photographs themselves: ten classes of ImageNet.


@pytest.mark.real_photographs
def test_photographs_of_imagenet_are_read_to_the_last(tmp_path):
    imagenette = Path(os.environ["IMAGENETTE_DIR"])
    data = photographs.load(imagenette, 32, skip_bad=1)
    assert data.skipped == ()
    assert data.description.num_classes == 10
    # ImageNet's mean in common use is 123.7, 116.3, 103.5; these are ten of its thousand classes.
    np.testing.assert_allclose(data.mean(), [123.7, 116.3, 103.5], atol=12)
    converted = photographs.load(prepare(tmp_path / "tfds", imagenette, "array_record", limit=20), 32)
    assert converted.stream(64, seed=0).batch(2)[0].shape == (64, 32, 32, 3)
