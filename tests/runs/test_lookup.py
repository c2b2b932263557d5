"""A run folder never costs what it held: another program's files, or the training behind a checkpoint not read."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from resnet_keras import Damaged, InputOutput, InvalidValue, Recipe, cifar10
from resnet_keras.runs import checkpoints, reading
from resnet_keras.runs.checkpoints import State
from resnet_keras.runs.lookup import folder_for, inspect
from resnet_keras.runs.writing import RunFolder
from resnet_keras.spec.records import Results, Row
from resnet_keras.spec.schedules import Steps

pytestmark = pytest.mark.any_backend

RECIPE = Recipe(iterations=300, schedule=Steps((150,)), evaluate_every=100)
SETTINGS = {
    "architecture": cifar10(8).to_dict(),
    "recipe": RECIPE.to_dict(),
    "data": {"fingerprint": "x", "image_size": 32},
    "seed": 0,
    "backend": "jax",
    "versions": {},
}


def look(path):
    return inspect(path, SETTINGS, RECIPE, "jax")


def begin(path):
    """As `run` does."""
    return RunFolder(path, SETTINGS, look(path))


def trained(path, periods):
    """A run that was stopped after so many periods, each with its checkpoint and its row."""
    folder = begin(path)
    for k in range(1, periods + 1):
        rows = tuple(Row(100 * n, 0.1, 50.0, 50.0, 1.25, 1.5, 321.9, 12.5 * n) for n in range(1, k + 1))
        folder.save_state(State(100 * k, rows, {"weights/a": np.full(50, k, np.float32)}))
        folder.record(rows[-1])
    return folder


def files(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


# Other programs' files.


def test_a_run_leaves_the_files_of_others_in_its_folder_as_they_are(tmp_path):
    others = (
        *("new-data.csv", "old-model.h5", "old-thesis/chapter-1.tex", "old-20241126-model.keras", "notes.txt"),
        *("checkpoints/new-idea.txt", "checkpoints/old-runs/best.pt", "checkpoints/iteration-5.pt"),
    )
    for name in others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"my own {name}")
    trained(tmp_path, 3).finish(Results(1.0, 2.0, 3.0))
    begin(tmp_path)
    assert {name: (tmp_path / name).read_text() for name in others} == {name: f"my own {name}" for name in others}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metrics.csv", "epoch,loss\n1,0.5\n"),
        ("metrics.csv", ""),
        ("metrics.csv", ",".join(Row._fields) + "\n1,2,3,4,5,6,7,8\n"),
        ("model.keras", "a model"),
    ],
)
def test_a_folder_with_results_of_another_program_is_refused_and_keeps_them(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "old-thesis").mkdir()
    with pytest.raises(InputOutput, match=rf"one run\. Received: .*{name}.*--out") as caught:
        begin(tmp_path)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "old-thesis"]
    assert (tmp_path / name).read_text() == text


def test_a_run_killed_before_its_first_run_json_begins_again(tmp_path):
    begin(tmp_path)
    (tmp_path / "run.json").unlink()
    begin(tmp_path)
    assert reading.read(tmp_path).rows == ()


# Checkpoints that cannot be read.


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path):
    begin(tmp_path)
    assert look(tmp_path).warnings == ()
    assert begin(tmp_path).state is None


def test_one_damaged_checkpoint_of_two_is_named_and_the_other_used(tmp_path):
    trained(tmp_path, 2)
    newest, before = checkpoints.generations(tmp_path)
    flip(newest / "arrays.npz")
    assert newest.name in "".join(look(tmp_path).warnings)
    assert begin(tmp_path).last_checkpoint == before


@pytest.mark.parametrize("without", [None, "run.json"])
def test_an_unfinished_run_with_no_checkpoint_left_intact_is_not_started_over(tmp_path, without):
    trained(tmp_path, 2)
    newest, before = checkpoints.generations(tmp_path)
    flip(newest / "arrays.npz")
    (before / "manifest.json").unlink()
    if without:
        (tmp_path / without).unlink()
    there = files(tmp_path)
    with pytest.raises(Damaged, match=rf"{newest.name}.*--fresh") as caught:
        begin(tmp_path)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == there
    assert begin(folder_for(tmp_path, "fresh")).state is None
    assert files(tmp_path) == there


@pytest.mark.parametrize("reason", ["EIO", "ESTALE", "EACCES", "EMFILE"])
@pytest.mark.parametrize("name", [*checkpoints.FILES, "checkpoints"])
def test_a_checkpoint_that_cannot_be_read_now_is_not_damaged(tmp_path, name, reason, monkeypatch):
    """A flaky mount: the newest checkpoint is intact, and read again once the mount is back."""
    trained(tmp_path, 2)
    there, newest = files(tmp_path), checkpoints.generations(tmp_path)[0]
    number = getattr(errno, reason)

    def failing(real):
        def call(path, *arguments, **options):
            if Path(path).name == name and (name == checkpoints.FOLDER or Path(path).parent == newest):
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for owner, function in ((Path, "read_bytes"), (os, "listdir"), (os, "scandir")):
            patch.setattr(owner, function, failing(getattr(owner, function)))
        with pytest.raises(InputOutput, match=rf"readable\. Received: .*{os.strerror(number)}") as caught:
            begin(tmp_path)
    assert not isinstance(caught.value, Damaged)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == there
    assert begin(tmp_path).last_checkpoint == newest


@pytest.mark.parametrize("name", [*checkpoints.FILES, None])
@pytest.mark.parametrize("place", ["nothing", "a folder"])
def test_a_file_that_is_gone_from_a_checkpoint_is_damage(tmp_path, name, place):
    trained(tmp_path, 2)
    newest, before = checkpoints.generations(tmp_path)
    if name is None:  # a file in the place of the checkpoint
        shutil.rmtree(newest)
        newest.write_text("")
    else:
        (newest / name).unlink()
        if place == "a folder":
            (newest / name).mkdir()
    point = look(tmp_path)
    assert point.checkpoint.path == before
    assert newest.name in "".join(point.warnings)


# Where --fresh starts over.


def test_fresh_is_beside_the_folder_however_that_is_written(tmp_path, monkeypatch):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "run.json").touch()
    monkeypatch.chdir(tmp_path / "runs" / "a")
    assert folder_for(Path(), "fresh").resolve() == tmp_path / "runs" / "a-2"
    assert folder_for(Path(".."), "fresh").resolve() == tmp_path / "runs-2"
    assert folder_for(Path("../a"), "fresh") == Path("../a-2")
    monkeypatch.chdir(tmp_path)
    assert folder_for(Path("runs/a/.."), "fresh").resolve() == tmp_path / "runs-2"
    assert folder_for(Path("runs/a"), "fresh") == Path("runs/a-2")
    assert folder_for(Path("runs/a"), "auto") == Path("runs/a")


def test_fresh_has_no_place_beside_the_root():
    with pytest.raises(InvalidValue, match=r"--fresh.*Received: /.*--out") as caught:
        folder_for(Path("/"), "fresh")
    assert "\n" not in str(caught.value)
