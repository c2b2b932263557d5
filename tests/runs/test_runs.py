"""The run folder: what is read back is what was written, and a failure loses nothing."""

import errno
import json
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ROOT

from resnet_keras import Damaged, InputOutput
from resnet_keras.runs import checkpoints, reading, storage
from resnet_keras.runs.lookup import ResumePoint
from resnet_keras.runs.writing import RunFolder
from resnet_keras.spec.records import Results, Row

pytestmark = pytest.mark.any_backend

SETTINGS = {"architecture": {"name": "plain-8"}, "recipe": {"boundaries": (1, 2)}, "data": {}, "seed": 0}
ROW = Row(100, 0.1, 54.321, 50.0, 1.25, 1.5, 321.9, 12.5)


def finished(path):
    folder = RunFolder(path, SETTINGS)
    folder.record(ROW)
    folder.save_model(lambda aside: aside.write_bytes(b"a model"))
    folder.finish(Results(1.0, 2.0, 3.0))
    return path


def test_what_is_written_is_read(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b", SETTINGS)
    folder.record(ROW)
    unfinished = reading.read(tmp_path / "a" / "b")
    assert unfinished.results is None
    folder.finish(Results(1.0, 2.0, 3.0))
    read = reading.read(tmp_path / "a" / "b")
    assert read.rows == (ROW,)
    assert read.results == Results(1.0, 2.0, 3.0)
    assert read.name == "plain-8"
    assert reading.find_readable(tmp_path, recipes=False) == ([read], [])
    found, (line,) = reading.find_readable(tmp_path)  # its recipe is one of version 0.1
    assert not found
    assert "recipe" in line


def test_a_save_that_fails_leaves_the_model_as_it_was(tmp_path):
    folder = RunFolder(tmp_path, SETTINGS)
    folder.save_model(lambda path: path.write_bytes(b"good"))

    def full_disk(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputOutput, match="No space left on device"):
        folder.save_model(full_disk)
    assert (tmp_path / "model.keras").read_bytes() == b"good"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["metrics.csv", "model.keras", "run.json"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("run.json", "{"),
        ("run.json", "[]"),
        ("run.json", "{}"),
        ("run.json", '{"results": {"accuracy": 1}}'),
        ("metrics.csv", "iteration,learning_rate\n1"),
        ("metrics.csv", "iteration\nx\n"),
    ],
)
def test_damaged_files_are_named_in_one_line(tmp_path, file, text):
    RunFolder(tmp_path, SETTINGS).record(ROW)
    (tmp_path / file).write_text(text)
    with pytest.raises(Damaged, match="Damaged") as caught:
        reading.read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["run.json", "metrics.csv", "model.keras"])
def test_every_flipped_bit_and_every_missing_end_of_a_finished_run_is_found(tmp_path, file):
    path = finished(tmp_path / "run") / file
    good = path.read_bytes()
    flips = [good[:k] + bytes([good[k] ^ 1 << k % 8]) + good[k + 1 :] for k in range(len(good))]
    for data in [*flips, *(good[:k] for k in range(0, len(good), 7))]:
        path.write_bytes(data)
        with suppress(Damaged):
            assert reading.read(path.parent).damaged_model(), data
    path.write_bytes(good)
    assert reading.read(path.parent).damaged_model() is None


def test_a_run_folder_of_version_0_1_without_hashes_is_read(tmp_path):
    finished(tmp_path)
    old = reading.unseal((tmp_path / "run.json").read_bytes())
    del old["files"]
    (tmp_path / "run.json").write_text(json.dumps(old, indent=2) + "\n")
    assert reading.read(tmp_path).results == Results(1.0, 2.0, 3.0)


def test_leftovers_of_a_killed_process_are_swept(tmp_path):
    finished(tmp_path)
    left = []

    def killed(aside):
        aside.write_bytes(b"half")
        left.append(aside.rename(aside.with_name(f"{aside.name[:-1]}")))  # what a failed write would remove
        raise OSError(errno.EIO, "Input/output error")

    for path in (tmp_path / "run.json", tmp_path / "checkpoints" / "iteration-00000001"):
        with pytest.raises(InputOutput):
            storage.atomic_replace(path, killed)
    assert all(path.exists() for path in left)
    RunFolder(tmp_path, SETTINGS, ResumePoint(None))
    assert not any(path.exists() for path in left)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(InputOutput, match=r"run\.json"):
        reading.read(tmp_path)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputOutput, match="--out"):
        RunFolder(tmp_path / "run", SETTINGS)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(InputOutput, match="--out"):
        RunFolder(tmp_path / "run", SETTINGS)
    assert (tmp_path / "run").read_text() == "mine"


def test_checkpoints_are_in_the_order_of_their_iterations_however_many_digits(tmp_path):
    for name in ("iteration-99999999", "iteration-100000000", "iteration-100000000-inside", "iteration-00000400"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    names = [path.name.removeprefix("iteration-") for path in checkpoints.generations(tmp_path)]
    assert names == ["100000000", "100000000-inside", "99999999", "00000400"]


WRITER = """
import sys
from pathlib import Path
from resnet_keras.runs import storage
for _ in range(200):
    storage.atomic_write(Path(sys.argv[1]), sys.argv[2].encode() * 100_000)
"""


def test_two_processes_that_write_one_file_leave_the_whole_of_one(tmp_path):
    target = tmp_path / "scores.json"
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(target), letter], cwd=ROOT) for letter in "ab"]
    seen = set()
    while any(process.poll() is None for process in processes):
        if target.exists():
            data = target.read_bytes()
            seen.add((len(data), bytes(set(data))))
    assert [process.wait() for process in processes] == [0, 0]
    assert seen <= {(100_000, b"a"), (100_000, b"b")}
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_synced_is_written_all_the_same(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    storage.atomic_write(tmp_path / "new" / "file", b"whole")
    assert (tmp_path / "new" / "file").read_bytes() == b"whole"


def test_a_device_a_pipe_and_a_folder_are_not_replaced_and_a_link_stays(tmp_path):
    """Renaming a file onto /dev/null as root would leave the machine without it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to the pipe").symlink_to("pipe")
    for name in ("pipe", "folder", "to the pipe", "."):
        for refused in (storage.check_file, lambda path: storage.atomic_write(path, b"new")):
            with pytest.raises(InputOutput, match="could not be written") as caught:
                refused(tmp_path / name if name != "." else Path())
            assert "\n" not in str(caught.value)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    (tmp_path / "link").symlink_to("folder/file")
    storage.check_file(tmp_path / "link")
    storage.atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "link", "pipe", "to the pipe"]


def test_a_checkpoint_that_cannot_take_its_name_leaves_the_one_before_it(tmp_path, monkeypatch):
    storage.atomic_write_folder(tmp_path / "iteration-1", {"a": b"before"})
    real = type(tmp_path).rename

    def rename(path, target):
        if path.name.startswith("new-"):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(type(tmp_path), "rename", rename)
    with pytest.raises(InputOutput, match="What was there before is unchanged"):
        storage.atomic_write_folder(tmp_path / "iteration-1", {"a": b"after"})
    assert (tmp_path / "iteration-1" / "a").read_bytes() == b"before"
    monkeypatch.setattr(type(tmp_path), "rename", real)
    storage.atomic_write_folder(tmp_path / "iteration-1", {"a": b"after"})
    assert (tmp_path / "iteration-1" / "a").read_bytes() == b"after"
    assert [path.name for path in tmp_path.iterdir()] == ["iteration-1"]
