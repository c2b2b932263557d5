"""Images, order and augmentation (section 4.2), each against a computation by hand."""

import os
import zipfile

import numpy as np
import pytest
from conftest import run_python, small_arrays

from resnet_keras import InputOutput, InvalidValue
from resnet_keras.data.small import sources
from resnet_keras.data.small.generated import CLASSES, generated
from resnet_keras.data.small.images import NONE_HELD_OUT, image_data
from resnet_keras.data.small.stream import Stream, augmentation
from resnet_keras.spec.augmentation import PaddedCrop
from resnet_keras.spec.known_data import CIFAR10_NONE_HELD_OUT

pytestmark = pytest.mark.any_backend

IMAGES = 50


@pytest.fixture
def stream():
    x = np.random.default_rng(0).integers(1, 256, (IMAGES, 8, 8, 3)).astype(np.uint8)
    return Stream(x, np.arange(IMAGES, dtype=np.int32), batch_size=16, seed=4, augmentation=PaddedCrop(2))


def test_every_epoch_has_every_image_once_in_another_order(stream):
    labels = np.concatenate([stream.batch(i)[1] for i in range(25)])  # 400 images: 8 epochs of 50
    epochs = labels.reshape(8, IMAGES)
    for epoch in epochs:
        assert sorted(epoch) == list(range(IMAGES))
    assert len({tuple(epoch) for epoch in epochs}) == 8


def test_a_batch_depends_on_seed_and_iteration_alone(stream):
    fresh = Stream(stream.x, stream.y, 16, 4, PaddedCrop(2))
    for iteration in (20, 3, 1_000):  # in any order
        for mine, other in zip(fresh.batch(iteration), stream.batch(iteration), strict=True):
            np.testing.assert_array_equal(mine, other)
    other_seed = Stream(stream.x, stream.y, 16, 5, PaddedCrop(2))
    assert (other_seed.batch(0)[1] != stream.batch(0)[1]).any()


def test_a_crop_is_cut_from_the_padded_image_or_its_mirror(stream):
    """By hand: pad with black, cut, mirror; for each image of the first two epochs."""
    for epoch in (0, 1):
        top, left, mirrored = augmentation(4, epoch, IMAGES, 2)
        places = range(epoch * IMAGES, (epoch + 1) * IMAGES)
        for place in places:
            x, y = stream.batch(place // 16)
            got, index = x[place % 16], y[place % 16]
            padded = np.zeros((12, 12, 3), np.uint8)
            padded[2:10, 2:10] = stream.x[index]
            expected = padded[top[index] : top[index] + 8, left[index] : left[index] + 8]
            if mirrored[index]:
                expected = expected[:, ::-1]
            np.testing.assert_array_equal(got, expected)


def test_augmentation_is_drawn_for_each_image_and_anew_each_epoch():
    first, second = augmentation(0, 0, 20_000, 4), augmentation(0, 1, 20_000, 4)
    for drawn in (first.top, first.left):
        counts = np.bincount(drawn, minlength=9)
        assert len(counts) == 9  # 0 to 8 pixels: 9 places
        np.testing.assert_allclose(counts / 20_000, 1 / 9, atol=0.01)
    assert first.mirrored.mean() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(first.top, first.left)[0, 1]) < 0.05
    assert (first.top == second.top).mean() == pytest.approx(1 / 9, abs=0.02)


def test_without_padding_and_mirror_the_images_are_as_they_are():
    x = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3)).astype(np.uint8)
    images, labels = Stream(x, np.arange(10, dtype=np.int32), 10, 0, PaddedCrop(0, flip=False)).batch(0)
    np.testing.assert_array_equal(images, x[labels])


def test_a_batch_may_be_larger_than_the_training_set():
    x = np.zeros((3, 8, 8, 3), np.uint8)
    _, labels = Stream(x, np.arange(3, dtype=np.int32), 8, 0, PaddedCrop(1)).batch(0)
    assert sorted(labels[:3]) == sorted(labels[3:6]) == [0, 1, 2]


def test_averaging_takes_the_mean_of_each_square(small_data):
    half = small_data.averaged_to(4)
    square = small_data.x_train[5, 2:4, 6:8].astype(float)
    np.testing.assert_array_equal(half.x_train[5, 1, 3], np.rint(square.mean(axis=(0, 1))))
    assert half.x_test.shape[1:] == (4, 4, 3)
    with pytest.raises(InvalidValue, match="Received: image_size=3"):
        small_data.averaged_to(3)


def test_the_last_training_images_are_held_out():
    arrays = small_arrays(images=60)
    data = image_data(name="s", source="s", train=(arrays["x_train"], arrays["y_train"]),
                 test=(arrays["x_test"], arrays["y_test"]), validation=20)  # fmt: skip
    np.testing.assert_array_equal(data.x_validation, arrays["x_train"][40:])
    np.testing.assert_array_equal(data.y_train, arrays["y_train"][:40])


def test_all_images_are_trained_on_with_the_test_images_to_validate_on(small_npz):
    arrays = small_arrays()
    data = sources.load(small_npz, all_images=True)
    np.testing.assert_array_equal(data.x_train, arrays["x_train"])
    np.testing.assert_array_equal(data.y_train, arrays["y_train"])
    np.testing.assert_array_equal(data.x_validation, arrays["x_test"])
    np.testing.assert_array_equal(data.y_validation, arrays["y_test"])
    assert data.fingerprint != sources.load(small_npz).fingerprint
    assert data.warnings == ("No images are held out: validation errors are those of the test images.",)


def test_without_held_out_images_there_is_no_warning_about_them():
    arrays = small_arrays()
    by_class = (arrays["x_train"], np.sort(arrays["y_train"]))
    data = image_data(train=by_class, test=(arrays["x_test"], arrays["y_test"]))
    assert "sorted by class" in data.warnings[0]
    assert data.all_to_train_on().warnings == (NONE_HELD_OUT,)


def _broken(**changed):
    arrays = small_arrays() | changed
    return image_data(
        name="broken",
        source="broken.npz",
        train=(arrays["x_train"], arrays["y_train"]),
        test=(arrays["x_test"], arrays["y_test"]),
        num_classes=3,
    )


def _labelled(labels, **named):
    y = np.asarray(labels)
    x = np.arange(len(y), dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return image_data(name="labels", source="labels.npz", train=(x, y), test=(x[:3], y[:3]), **named)


@pytest.mark.parametrize(
    ("labels", "received"),
    [
        (np.arange(40) % 4 + 1, "4 labels from 1 to 4, without 0"),
        (np.r_[np.arange(39) % 3, 255], "4 labels from 0 to 255, without 3"),
        (np.arange(40) % 3 * 2, "3 labels from 0 to 4, without 1"),
    ],
)
def test_a_label_without_images_before_the_largest_is_a_slip(labels, received):
    with pytest.raises(InvalidValue, match=received):
        _labelled(labels)
    with pytest.raises(InvalidValue, match="2 names, 1 of them different"):
        _labelled(labels, class_names=("a", "a"))


def test_classes_that_are_named_may_lack_images_and_a_line_says_so():
    data = _labelled(np.arange(40) % 3 * 2, class_names=("a", "b", "c", "d", "e"))
    assert (data.num_classes, data.description.class_names) == (5, ("a", "b", "c", "d", "e"))
    (line,) = data.description.warnings
    assert line.startswith("2 of 5 classes have no training image")
    assert "1 (b), 3 (d)" in line


def test_of_images_sorted_by_class_those_held_out_are_spread():
    data = _labelled(np.repeat(np.arange(4), 10))
    # A tenth of 40 images: numbers 0, 10, 20 and 30, one of each class.
    assert data.y_validation.tolist() == [0, 1, 2, 3]
    assert data.x_validation[:, 0, 0, 0].tolist() == [0, 10, 20, 30]
    assert data.x_train[:, 0, 0, 0].tolist() == [index for index in range(40) if index % 10]
    (line,) = data.warnings
    assert "sorted by class" in line
    assert _labelled(np.arange(40) % 4).warnings == ()
    late = _labelled(np.r_[np.arange(36) % 3, 3, 3, 3, 3], num_classes=4)
    assert "such as label 3" in late.warnings[0]
    assert late.y_train.tolist().count(3) == 4  # none of them is number 0, 10, 20 or 30


GOOD = small_arrays()


@pytest.mark.parametrize(
    ("changed", "received"),
    [
        ({"y_train": GOOD["y_train"] + 1}, "y_train from 1 to 3"),
        ({"y_test": GOOD["y_test"] - 1}, "y_test from -1 to 1"),
        ({"y_train": GOOD["y_train"].astype(np.int64) << 40}, "y_train from 0 to 2199023255552"),
        ({"y_train": GOOD["y_train"].astype(float)}, "float64"),
        ({"y_train": GOOD["y_train"][:-1]}, r"\(59,\)"),
        ({"x_train": GOOD["x_train"][..., :1]}, r"x_train of shape \(60, 8, 8, 1\)"),
        ({"x_train": GOOD["x_train"] / 255.0}, "multiply by 255"),
        ({"x_train": GOOD["x_train"].astype(np.float32) * np.nan}, "x_train from nan to nan"),
        ({"x_test": GOOD["x_test"].astype(np.int32) + 100}, "x_test from 1"),
        ({"x_test": GOOD["x_test"][:, :4, :4]}, r"x_test \(4, 4, 3\)"),
    ],
)
def test_wrong_arrays_are_refused_in_one_line(changed, received):
    with pytest.raises(InvalidValue, match=received) as caught:
        _broken(**changed)
    assert "\n" not in str(caught.value)


def test_an_npz_is_read_and_its_classes_counted(small_npz):
    data = sources.load(small_npz)
    assert (data.name, data.num_classes, data.image_size, len(data.x_train), len(data.x_validation)) == (
        "small",
        3,
        8,
        54,
        6,
    )
    np.testing.assert_array_equal(data.x_train, GOOD["x_train"][:54])


def test_damaged_or_incomplete_npz_files_are_refused(tmp_path, small_npz):
    names = ("incomplete", "damaged", "objects", "array", "compressed", "foreign")
    incomplete, damaged, objects, array, compressed, foreign = (tmp_path / f"{name}.npz" for name in names)
    np.save(tmp_path / "array.npy", GOOD["x_train"])
    (tmp_path / "array.npy").rename(array)
    np.savez_compressed(compressed, **GOOD)
    flipped = bytearray(compressed.read_bytes())
    flipped[200:220] = bytes(20)
    compressed.write_bytes(flipped)
    np.savez(incomplete, x_train=GOOD["x_train"])
    damaged.write_bytes(small_npz.read_bytes()[:200])
    with zipfile.ZipFile(small_npz) as good, zipfile.ZipFile(foreign, "w") as made:
        for name in good.namelist():
            made.writestr(name, b"no header of NumPy's" if name == "x_train.npy" else good.read(name))
    np.savez(objects, **(GOOD | {"y_train": np.array([{}] * 60, dtype=object)}))
    os.mkfifo(pipe := tmp_path / "pipe.npz")
    for path in (incomplete, damaged, objects, array, compressed, foreign, pipe, tmp_path / "absent.npz"):
        with pytest.raises(InputOutput, match=path.name) as caught:
            sources.load(path)
        assert "\n" not in str(caught.value)


def test_a_missing_or_empty_data_folder_says_how_to_get_the_data(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputOutput, match=r"cifar-10-python\.tar\.gz"):
            sources.load(folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Makes a tiny CIFAR-10, written by TensorFlow Datasets itself in a given format; with its images and labels."""
    tfds = pytest.importorskip("tensorflow_datasets")
    random = np.random.default_rng(11)
    images = random.integers(0, 256, (30, 32, 32, 3)).astype(np.uint8)
    labels = random.integers(0, 10, 30)

    def examples(part):
        return [(index, {"id": str(index), "image": images[index], "label": int(labels[index])}) for index in part]

    def prepare(file_format):
        folder = tmp_path_factory.mktemp(file_format)
        features = {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(shape=(32, 32, 3)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        tfds.dataset_builders.store_as_tfds_dataset(
            name="cifar10",
            version="3.0.2",
            features=tfds.features.FeaturesDict(features),
            split_datasets={"train": examples(range(20)), "test": examples(range(20, 30))},
            data_dir=folder,
            file_format=file_format,
        )
        return folder

    return prepare, images, labels


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_cifar10_is_read_from_both_formats_of_tensorflow_datasets(prepared, file_format):
    prepare, images, labels = prepared
    folder = prepare(file_format)
    for named in (folder, folder / "cifar10" / "3.0.2"):
        data = sources.load(named)
        x = np.concatenate([data.x_train, data.x_validation, data.x_test])
        y = np.concatenate([data.y_train, data.y_validation, data.y_test])
        # TensorFlow Datasets shuffles what it writes: compare sets of images with their labels.
        written = {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}
        assert {(image.tobytes(), int(label)) for image, label in zip(x, y, strict=True)} == written
        assert len(data.x_test) == 10


def test_a_damaged_record_among_many_is_named_in_one_line(prepared):
    folder = prepared[0]("array_record")
    (file,) = folder.rglob("*train.array_record*")
    content = bytearray(file.read_bytes())
    inside = content.index(b"\x89PNG", 30_000) + 1_000
    content[inside : inside + 100] = bytes(100)
    file.write_bytes(content)
    with pytest.raises(InputOutput, match=r"image \d+ of train in .* could not be read") as caught:
        sources.load(folder)
    assert "\n" not in str(caught.value)


def test_a_set_without_test_images_is_refused(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    features = {"image": tfds.features.Image(shape=(32, 32, 3)), "label": tfds.features.ClassLabel(num_classes=10)}
    image = np.zeros((32, 32, 3), np.uint8)
    tfds.dataset_builders.store_as_tfds_dataset(
        name="svhn",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": [(0, {"image": image, "label": 1})]},
        data_dir=tmp_path,
        file_format="array_record",
    )
    with pytest.raises(InputOutput, match=r"Received: .*svhn"):
        sources.load(tmp_path / "svhn" / "1.0.0")


@pytest.mark.real_data
def test_cifar10_itself():
    data = sources.load()
    assert (data.name, data.fingerprint, data.class_names[3]) == ("CIFAR-10", "530f1121731a72cd", "cat")
    assert [len(part) for part in (data.x_train, data.x_validation, data.x_test)] == [45_000, 5_000, 10_000]
    everything = np.concatenate([data.y_train, data.y_validation])
    assert np.bincount(everything).tolist() == [5_000] * 10
    assert np.bincount(data.y_test).tolist() == [1_000] * 10
    # The mean and standard deviation of CIFAR-10's training images, as commonly published (0..1).
    x = np.concatenate([data.x_train, data.x_validation]).reshape(-1, 3) / np.float32(255)
    np.testing.assert_allclose(x.mean(axis=0, dtype=np.float64), [0.4914, 0.4822, 0.4465], atol=1e-4)
    np.testing.assert_allclose(x.std(axis=0, dtype=np.float64), [0.2470, 0.2435, 0.2616], atol=1e-4)
    every = sources.load(all_images=True)
    assert (every.name, every.fingerprint, len(every.x_train)) == ("CIFAR-10", CIFAR10_NONE_HELD_OUT, 50_000)


@pytest.mark.real_data
def test_array_record_needs_no_tensorflow():
    code = (
        "import sys; from resnet_keras.data.small import cache, sources; cache.MAX_BYTES = 0; d = sources.load(); "
        "print(len(d.x_train), 'tensorflow' in sys.modules)"
    )
    assert run_python("-c", code).stdout.split() == ["45000", "False"]


@pytest.fixture(scope="module")
def patterns():
    return generated()


def test_generated_images_are_the_same_at_every_call_and_labelled_evenly(patterns):
    assert patterns.generated
    assert patterns.x_train.shape == (18_000, 32, 32, 3)
    shares = np.bincount(patterns.y_train, minlength=len(CLASSES)) / len(patterns.y_train)
    np.testing.assert_allclose(shares, 0.1, atol=0.01)
    assert generated().fingerprint == patterns.fingerprint


def test_a_first_look_at_the_generated_images_tells_something_and_not_all(patterns):
    """The nearest class mean, the best that single pixels can do, is right for 28 % of CIFAR-10's images."""
    means = np.stack([patterns.x_train[patterns.y_train == label].mean(axis=0).ravel() for label in range(10)])
    x = patterns.x_test.reshape(len(patterns.x_test), -1).astype(np.float32)
    guess = ((means**2).sum(axis=1) - 2 * x @ means.T).argmin(axis=1)
    assert 0.2 < (guess == patterns.y_test).mean() < 0.6


def test_the_amplitude_of_the_generated_images_falls_with_frequency(patterns):
    """By a factor of 2 ** 1.6 per octave; checked in the lower ones, where the noise is comparatively small."""
    spectrum = np.abs(np.fft.fft2(patterns.x_train[:500].astype(np.float32), axes=(1, 2))).mean(axis=(0, 3))
    octaves = spectrum[[1, 2, 4], 0]
    np.testing.assert_allclose(octaves[:-1] / octaves[1:], 2**1.6, rtol=0.15)


@pytest.mark.parametrize(("flag", "method", "says"), [(1, 0, "encrypted"), (0, 97, "compression method")])
def test_archives_that_another_program_packed_are_one_line(tmp_path, flag, method, says):
    """Local headers (PK 3 4) hold flags and method at bytes 6 and 8, those of the directory (PK 1 2) at 8 and 10."""
    np.savez(tmp_path / "made.npz", **small_arrays())
    data = bytearray((tmp_path / "made.npz").read_bytes())
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = -1
        while (start := data.find(signature, start + 1)) >= 0:
            data[start + at] |= flag
            data[start + at + 2] = method
    (tmp_path / "packed.npz").write_bytes(data)
    with pytest.raises(InputOutput, match=says) as caught:
        sources.load(tmp_path / "packed.npz")
    assert "\n" not in str(caught.value)
