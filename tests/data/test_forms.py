"""CIFAR-10 in every form that people have it in, other small sets, and which of several sets in a folder is meant."""

import hashlib
import pickle
import struct
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from conftest import small_data_

from resnet_keras import InputOutput
from resnet_keras.data import part
from resnet_keras.data.choice import choose
from resnet_keras.data.photographs.split import Split
from resnet_keras.data.small import batches, recognition, sources
from resnet_keras.data.small.images import ImageData

pytestmark = pytest.mark.any_backend

RANDOM = np.random.default_rng(5)
IMAGES = {name: RANDOM.integers(0, 256, (6, 32, 32, 3)).astype(np.uint8) for name in (*batches.TRAIN, batches.TEST)}
LABELS = {name: RANDOM.permutation(6).tolist() for name in IMAGES}
X_TRAIN = np.concatenate([IMAGES[name] for name in batches.TRAIN])
Y_TRAIN = np.concatenate([LABELS[name] for name in batches.TRAIN])


def flat(name):
    """Red, then green, then blue, each row by row, as https://www.cs.toronto.edu/~kriz/cifar.html describes."""
    return np.stack([np.concatenate([image[..., channel].ravel() for channel in range(3)]) for image in IMAGES[name]])


def write(folder, *, binary=False):
    folder.mkdir(parents=True)
    for name, labels in LABELS.items():
        if binary:
            rows = [bytes([label]) + row.tobytes() for label, row in zip(labels, flat(name), strict=True)]
            (folder / f"{name}.bin").write_bytes(b"".join(rows))
        else:
            content = {b"batch_label": b"x", b"labels": labels, b"data": flat(name), b"filenames": [b"a"] * 6}
            (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return folder


def pack(folder, target):
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, folder.name)
    return target


def check(data):
    assert data.name == "CIFAR-10"
    np.testing.assert_array_equal(np.concatenate([data.x_train, data.x_validation]), X_TRAIN)
    np.testing.assert_array_equal(np.concatenate([data.y_train, data.y_validation]), Y_TRAIN)
    np.testing.assert_array_equal(data.x_test, IMAGES[batches.TEST])
    assert data.class_names[9] == "truck"


@pytest.mark.parametrize("binary", [False, True])
def test_folders_and_archives_of_the_original_site(tmp_path, binary):
    name = "cifar-10-batches-bin" if binary else "cifar-10-batches-py"
    folder = write(tmp_path / "root" / name, binary=binary)
    target = pack(folder, tmp_path / ("cifar-10-binary.tar.gz" if binary else "cifar-10-python.tar.gz"))
    for named in (folder, tmp_path / "root", target, tmp_path):  # torchvision's root; the folder with the archive
        check(sources.load(named))


def test_keras_folder_is_found_before_a_download(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(sources, "URL", "http://127.0.0.1:9/")
    with pytest.raises(sources.NotAvailable, match="It is in neither, and the download failed"):
        sources.load()
    write(tmp_path / "datasets" / "cifar-10-batches-py-target" / "cifar-10-batches-py")
    check(sources.load())


def test_a_download_needs_no_tensorflow_and_is_held_against_its_hash(tmp_path, monkeypatch):
    pack(write(tmp_path / "site" / "cifar-10-batches-py"), tmp_path / "site" / "x.tar.gz")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(sources, "URL", f"http://127.0.0.1:{server.server_port}/x.tar.gz")
        with pytest.raises(sources.NotAvailable, match="a different SHA-256"):
            sources.load()
        assert not any((tmp_path / "keras" / "datasets").iterdir())
        content = (tmp_path / "site" / "x.tar.gz").read_bytes()
        monkeypatch.setattr(sources, "SHA256", hashlib.sha256(content).hexdigest())
        check(sources.load())
        server.shutdown()
    monkeypatch.setattr(sources, "URL", "http://127.0.0.1:9/")
    check(sources.load())  # the download was kept


def python_2(pixels, labels):
    """As Python 2 and the NumPy of 2009 wrote these files."""
    shape = b"K" + bytes([len(labels)]) + b"M" + struct.pack("<H", 3072) + b"\x86"
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01" + shape + dtype + b"\x89T"
    )
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    data = array + struct.pack("<i", pixels.nbytes) + pixels.tobytes() + b"tb"
    return b"\x80\x02}(U\x04data" + data + b"U\x06labels](" + numbers + b"eu."


def test_files_of_python_2_are_read_as_pickle_itself_reads_them(tmp_path):
    folder = write(tmp_path / "cifar-10-batches-py")
    for name, labels in LABELS.items():
        content = python_2(flat(name), labels)
        (folder / name).write_bytes(content)
        np.testing.assert_array_equal(pickle.loads(content, encoding="bytes")[b"data"], flat(name))
    check(sources.load(folder))


class Harm:
    def __reduce__(self):
        return open, ("harm", "w")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps(Harm(), 2), "not run"),
        (pickle.dumps({b"data": np.array([Harm()] * 6), b"labels": [0] * 6}, 2), "not run"),
        (pickle.dumps({b"data": np.zeros((6, 3072)), b"labels": [0] * 6}, 2), "bytes in row-major order"),
        (pickle.dumps({b"data": np.zeros((6, 3071), np.uint8), b"labels": [0] * 6}, 2), "3071"),
        (pickle.dumps({b"data": b"x", b"labels": [0] * 6}, 2), "array"),
        (pickle.dumps([1, 2]), "items"),
        (b"\x80\x02}(U\x04data", "test_batch"),
        (b"", "test_batch"),
    ],
)
def test_no_pickle_is_run(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    folder = write(tmp_path / "cifar-10-batches-py")
    (folder / "test_batch").write_bytes(content)
    with pytest.raises(InputOutput, match=said) as caught:
        sources.load(folder)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "harm").exists()


def test_missing_and_damaged_files_are_named(tmp_path):
    folder = write(tmp_path / "cifar-10-batches-py")
    (folder / "data_batch_3").unlink()
    with pytest.raises(InputOutput, match=r"Missing from .*: data_batch_3"):
        sources.load(folder)
    target = pack(folder, tmp_path / "cifar-10-python.tar.gz")
    target.write_bytes(target.read_bytes()[:-5000])
    with pytest.raises(InputOutput, match=r"cifar-10-python\.tar\.gz"):
        sources.load(target)


def test_parts_of_a_set_are_put_together_in_the_order_of_their_numbers(tmp_path):
    for number, name in enumerate(batches.TRAIN, start=8):  # 8 to 12
        np.savez(tmp_path / f"cifar10-part-{number}.npz", x_train=IMAGES[name], y_train=np.array(LABELS[name]))
    np.savez(tmp_path / "cifar10-part-13.npz", x_test=IMAGES[batches.TEST], y_test=np.array(LABELS[batches.TEST]))
    for named in (tmp_path, tmp_path / "cifar10-part-*.npz"):
        data = sources.load(named)
        np.testing.assert_array_equal(np.concatenate([data.x_train, data.x_validation]), X_TRAIN)
        assert (data.name, data.source) == (tmp_path.name, "cifar10-part-8.npz to cifar10-part-13.npz")
    with pytest.raises(InputOutput, match=r"Missing from .*: x_test, y_test"):
        sources.load(tmp_path / "cifar10-part-?.npz".replace("?", "1[02]*"))


def test_an_npz_names_its_classes(tmp_path):
    x, y = IMAGES["test_batch"], np.arange(6) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y, class_names=np.array(["cat", "dog"]))
    assert sources.load(tmp_path / "a.npz").class_names == ("cat", "dog")
    np.savez(tmp_path / "b.npz", x_train=x, y_train=y, x_test=x, y_test=y, class_names=np.array([1, 2]))
    with pytest.raises(InputOutput, match="class_names is a list of strings"):
        sources.load(tmp_path / "b.npz")


def shuffled(data, seed=3):
    """The same images in another order, and so in another split."""
    random = np.random.default_rng(seed)
    x, y = np.concatenate([data.x_train, data.x_validation]), np.concatenate([data.y_train, data.y_validation])
    order, test = random.permutation(len(x)), random.permutation(len(data.x_test))
    x, y, cut = x[order], y[order], len(data.x_train)
    return replace(
        data, name="mine", x_train=x[:cut], y_train=y[:cut], x_validation=x[cut:], y_validation=y[cut:],
        x_test=data.x_test[test], y_test=data.y_test[test],
    )  # fmt: skip


def test_known_images_come_into_their_order_from_any_other(tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    known = replace(
        small_data_(), num_classes=10, class_names=None,
        **{f"x_{name}": random.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
           for name, count in (("train", 54), ("validation", 6), ("test", 30))},
    )  # fmt: skip
    hashes = [
        recognition.image_hashes(
            np.concatenate([known.x_train, known.x_validation]), np.concatenate([known.y_train, known.y_validation])
        ),
        recognition.image_hashes(known.x_test, known.y_test),
    ]
    assert hashes[1][4].tobytes() == hashlib.sha256(known.x_test[4].tobytes() + bytes([known.y_test[4]])).digest()
    np.save(tmp_path / "order.npy", np.concatenate([np.argsort([one.tobytes() for one in each]) for each in hashes]))
    monkeypatch.setattr(
        recognition, "SHAPES", tuple(x.shape for x in (known.x_train, known.x_validation, known.x_test))
    )
    monkeypatch.setattr(recognition, "CONTENTS", recognition.contents(hashes))
    monkeypatch.setattr(recognition, "ORDER", tmp_path / "order.npy")
    other = shuffled(known)
    assert other.fingerprint != known.fingerprint
    found = recognition.recognised(other)
    assert (found.name, found.fingerprint) == ("CIFAR-10", known.fingerprint)
    wrong = replace(other, y_test=(other.y_test + 1) % 10)
    assert recognition.recognised(wrong) is wrong


@pytest.mark.real_data
def test_cifar10_is_one_set_whatever_its_order():
    found = recognition.recognised(shuffled(sources.load()))
    assert (found.name, found.fingerprint) == ("CIFAR-10", "530f1121731a72cd")


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    """Tiny sets written by TensorFlow Datasets itself: grey digits, and images of no fixed size."""
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("array_record")
    folder = tmp_path_factory.mktemp("tfds")
    digits = np.random.default_rng(0).integers(0, 256, (30, 28, 28, 1)).astype(np.uint8)

    def store(name, shape, images, **label):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name, version="3.0.1",
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=shape), "label": tfds.features.ClassLabel(**label)}
            ),
            split_datasets={
                "train": [(index, {"image": images[index], "label": index % 3}) for index in range(20)],
                "test": [(index, {"image": images[index], "label": index % 3}) for index in range(20, 30)],
            },
            data_dir=folder, file_format="array_record",
        )  # fmt: skip

    store("mnist", (28, 28, 1), digits, num_classes=3)
    store("flowers", (None, None, 3), [np.zeros((40, 40 + i % 2, 3), np.uint8) for i in range(30)], names=list("abc"))
    return folder, digits


def test_other_small_sets_are_named_and_grey_becomes_rgb(tfds_folder, monkeypatch):
    folder, digits = tfds_folder
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    data = sources.load(None, "mnist")
    assert (data.name, data.num_classes, data.image_size, data.description.class_names) == ("mnist", 3, 28, None)
    written = {digit.tobytes() for digit in digits}
    for x in (data.x_train, data.x_validation, data.x_test):
        assert {image[..., channel].tobytes() for image in x for channel in range(3)} <= written
    assert len(data.x_train) + len(data.x_validation) == 20
    with pytest.raises(sources.NotAvailable, match=r"svhn_cropped, not in .*download_and_prepare"):
        sources.load(None, "svhn_cropped")
    with pytest.raises(InputOutput, match="Small images all have the same size"):
        sources.load(None, "flowers")


def test_which_set_of_a_folder_is_meant_is_one_rule(tfds_folder, tmp_path):
    folder, _ = tfds_folder
    with pytest.raises(InputOutput, match=r"--dataset names one\. Received: .*'flowers', 'mnist'"):
        choose(folder)
    assert choose(folder, usual="flowers").path == folder / "flowers" / "3.0.1"
    assert choose(folder, "mnist", usual="flowers").path == folder / "mnist" / "3.0.1"
    assert choose(folder / "mnist").path == folder / "mnist" / "3.0.1"
    assert choose(str(folder / "mnist")) == choose(folder / "mnist")
    assert isinstance(part.load(folder, "val", "mnist"), ImageData)
    assert isinstance(part.load(folder / "flowers", "val"), Split)
    for wrong in ("mnist2", "cifar10"):
        with pytest.raises(InputOutput, match=f"Received: {wrong}"):
            choose(folder, wrong)
    (tmp_path / "train").mkdir()
    with pytest.raises(InputOutput, match=r"holds photographs\. recipes/imagenet.py"):
        sources.load(tmp_path)
    with pytest.raises(InputOutput, match=r"a data set prepared by TensorFlow Datasets. Received: mnist"):
        sources.load(tmp_path, "mnist")
    (tmp_path / "odd" / "deep" / "1.0.0").mkdir(parents=True)
    (tmp_path / "odd" / "deep" / "1.0.0" / "dataset_info.json").write_text("[" * 100_000)  # deeper than Python parses
    with pytest.raises(InputOutput, match="is not a data set prepared by TensorFlow Datasets"):
        part.load(str(tmp_path / "odd"), "val")
