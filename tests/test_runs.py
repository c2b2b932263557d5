"""The run folder: what is read back is what was written; nothing is lost by a failure."""

import os

import pytest

from resnet_keras import InputOutput, runs
from resnet_keras.runs import Results, Row, RunFolder

pytestmark = pytest.mark.any_backend

SETTINGS = {"architecture": {"name": "plain-8"}, "recipe": {"boundaries": (1, 2)}, "data": {}, "seed": 0}
ROW = Row(100, 0.1, 54.321, 50.0, 1.25, 1.5, 321.9, 12.5)


def test_what_is_written_is_read(tmp_path):
    folder = RunFolder.create(tmp_path / "a" / "b", SETTINGS)
    folder.record(ROW)
    unfinished = runs.read(tmp_path / "a" / "b")
    assert unfinished.results is None
    folder.finish(Results(1.0, 2.0, 3.0))
    read = runs.read(tmp_path / "a" / "b")
    assert read.rows == (ROW,)
    assert read.results == Results(1.0, 2.0, 3.0)
    assert read.name == "plain-8"
    assert read.same_settings(SETTINGS)
    assert not read.same_settings(SETTINGS | {"seed": 1})
    assert runs.find(tmp_path) == [read]


def test_an_unfinished_run_is_started_over_but_not_by_another(tmp_path):
    RunFolder.create(tmp_path, SETTINGS).record(ROW)
    with pytest.raises(InputOutput, match="other settings, plain-8"):
        RunFolder.create(tmp_path, SETTINGS | {"seed": 1})
    assert runs.read(tmp_path).rows == (ROW,)
    RunFolder.create(tmp_path, SETTINGS)
    assert runs.read(tmp_path).rows == ()


def test_a_save_that_fails_leaves_the_model_as_it_was(tmp_path):
    folder = RunFolder.create(tmp_path, SETTINGS)
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
    RunFolder.create(tmp_path, SETTINGS).record(ROW)
    (tmp_path / file).write_text(text)
    with pytest.raises(InputOutput, match="Damaged") as caught:
        runs.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(InputOutput, match=r"run\.json"):
        runs.read(tmp_path)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputOutput, match="--out"):
        RunFolder.create(tmp_path / "run", SETTINGS)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(InputOutput, match="--out"):
        RunFolder.create(tmp_path / "run", SETTINGS)
    assert (tmp_path / "run").read_text() == "mine"
