"""Decoded images kept on disk: the same as the source's, used whole or not at all, and never a cause of failure."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from resnet_keras.data.small import batches, cache, sources
from resnet_keras.data.small.images import image_data

pytestmark = pytest.mark.any_backend
PARTS = ("x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test")


def write(folder, seed=0):
    """Writes CIFAR-10's binary files with twelve random images; returns the training images' first red pixels."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    firsts = []
    for name in (*batches.TRAIN, batches.TEST):
        rows = random.integers(0, 256, (2, 3073), dtype=np.uint8)
        rows[:, 0] %= 10
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
        firsts += rows[:, 1].tolist()
    return sorted(firsts[:10])


def first_pixels(data):
    return sorted(np.concatenate([data.x_train, data.x_validation])[:, 0, 0, 0].tolist())


def same(one, other):
    assert one.description == other.description
    for name in PARTS:
        mine, its = getattr(one, name), getattr(other, name)
        assert (mine.dtype, mine.flags.writeable) == (its.dtype, its.flags.writeable)
        np.testing.assert_array_equal(mine, its)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    folder = tmp_path / "data" / "cifar-10-batches-bin"
    write(folder)
    return folder


@pytest.fixture
def reads(monkeypatch):
    """Counts how often the source is decoded."""
    counted, read = [], batches.read
    monkeypatch.setattr(batches, "read", lambda path: counted.append(path) or read(path))
    return counted


def beside(source):
    return source.parent / ".resnet_keras" / f"{source.name}.npy"


def kept(tmp_path):
    return sorted(path for path in tmp_path.rglob("*.npy") if path.is_file())


def test_the_second_start_does_not_decode(source, reads, tmp_path, capsys):
    first = sources.load(source)
    assert kept(tmp_path) == [beside(source)]
    assert capsys.readouterr().err.startswith(f"cached for the next run: {beside(source)}")
    second = sources.load(source)
    assert len(reads) == 1
    same(first, second)
    assert capsys.readouterr().err == ""
    # A copy moves with its folder, and does not depend on the path.
    source.parent.rename(tmp_path / "moved")
    same(first, sources.load(tmp_path / "moved" / source.name))
    assert len(reads) == 1


def test_warnings_and_class_names_are_kept(tmp_path):
    x, y = np.zeros((10, 8, 8, 3), np.uint8), np.arange(10, dtype=np.int32) // 5

    def read():
        return image_data(name="sorted", source="tests", train=(x, y), test=(x, y), class_names=["é", "b"])

    (tmp_path / "source").write_bytes(b"a")
    first, second = (cache.cached(tmp_path / "source", [tmp_path / "source"], read) for _ in range(2))
    assert "sorted by class" in second.warnings[0]
    assert second.class_names == ("é", "b")
    same(first, second)


def test_a_changed_source_is_read_again(source, reads):
    sources.load(source)
    times = {path: path.stat() for path in source.iterdir()}
    expected = write(source, seed=1)
    for path, stat in times.items():  # names, sizes and times are the old ones
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    for _ in range(2):
        assert first_pixels(sources.load(source)) == expected
    assert len(reads) == 2


def test_what_changes_while_it_is_read_is_not_kept(source, tmp_path, monkeypatch):
    read = batches.read
    monkeypatch.setattr(batches, "read", lambda path: (read(path), write(source, seed=1))[0])
    sources.load(source)
    assert kept(tmp_path) == []


def test_another_version_reads_again(source, reads, monkeypatch):
    sources.load(source)
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    sources.load(source)
    assert len(reads) == 2


def test_a_large_source_is_not_copied(source, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "MAX_BYTES", 30_000)
    sources.load(source)
    assert kept(tmp_path) == []


def test_a_damaged_copy_is_never_trusted(source, reads):
    whole = sources.load(source)
    path = beside(source)
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 12).tolist():
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        same(whole, sources.load(source))
    reads.clear()
    for number, bad in enumerate((
        content.replace(b'"num_classes": 10', b'"num_classes": 11'),
        content.replace(b'"airplane"', b'"airplan3"'),
        content[: len(content) // 2],
        content[:-1],
        b"",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000,), }" + b" " * 40,
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" + b" " * 60 + b"\n(dp0\n.",
    ), start=1):  # fmt: skip
        assert bad != content
        path.write_bytes(bad)
        same(whole, sources.load(source))
        assert len(reads) == number, bad[:200]
        assert path.read_bytes() == content  # rewritten


def test_folders_that_cannot_be_written_are_no_error(source, reads, tmp_path, monkeypatch, capsys):
    source.parent.chmod(0o555)
    try:
        first = sources.load(source)
        (copy,) = kept(tmp_path)
        assert copy.parent == tmp_path / "home" / "resnet_keras"
        same(first, sources.load(source))
        assert len(reads) == 1
        capsys.readouterr()
        # Nowhere to write at all: a file where the folder would be, and no home.
        (tmp_path / "file").touch()
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
        same(first, sources.load(source))
        for name in ("KERAS_HOME", "XDG_CACHE_HOME", "HOME", "USERPROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # no entry for the user either
        monkeypatch.chdir(tmp_path)
        same(first, sources.load(source))
        assert len(reads) == 3
        assert kept(tmp_path) == [copy]
        assert capsys.readouterr().err == ""
    finally:
        source.parent.chmod(0o755)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"KERAS_HOME": "k", "XDG_CACHE_HOME": "x"}, "k/resnet_keras"),
        ({"XDG_CACHE_HOME": "x"}, "x/resnet_keras"),
        ({}, "h/.cache/resnet_keras"),
    ],
)
def test_the_users_cache_folder(source, tmp_path, monkeypatch, variables, folder):
    for name in ("KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "h"))
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    (source.parent / ".resnet_keras").touch()  # in the way
    sources.load(source)
    assert [path.parent for path in kept(tmp_path)] == [tmp_path / folder]


def test_two_writers_leave_one_whole_copy(source, reads, tmp_path):
    """Two processes that wait for each other before they write."""
    code = (
        "import sys, time; from pathlib import Path; from resnet_keras.data.small import batches, sources\n"
        "source, mine, other = map(Path, sys.argv[1:]); read = batches.read\n"
        "def together(path):\n"
        "    data = read(path); mine.touch()\n"
        "    while not other.exists(): time.sleep(0.005)\n"
        "    return data\n"
        "batches.read = together; print(sources.load(source).fingerprint)"
    )
    marks = [str(tmp_path / name) for name in ("one", "two")]
    command = [sys.executable, "-c", code, str(source)]
    writers = [
        subprocess.Popen([*command, *order], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for order in (marks, marks[::-1])
    ]
    said = [writer.communicate(timeout=120)[0].strip() for writer in writers]
    expected = batches.read(source).fingerprint
    assert said == [expected, expected]
    reads.clear()
    assert sources.load(source).fingerprint == expected
    assert reads == []
    assert [path.name for path in beside(source).parent.iterdir()] == [beside(source).name]


def test_what_a_killed_writer_left_is_removed_after_a_day(source):
    folder = beside(source).parent
    folder.mkdir()
    old, new = (folder / f".{source.name}.npy.{name}" for name in ("0ld", "new"))
    for path in (old, new):
        path.touch()
    os.utime(old, (1e9, 1e9))
    sources.load(source)
    assert not old.exists()
    assert new.exists()
