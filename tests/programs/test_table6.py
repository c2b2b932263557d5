"""The queue of Table 6: cheapest first, finished runs skipped, the time left, and what it leaves behind."""

import hashlib
from pathlib import Path

import pytest
from conftest import run_json, run_python

from resnet_keras import CIFAR10, cifar10
from resnet_keras.reports.queue import Job, Queue
from resnet_keras.runs import reading
from resnet_keras.spec.records import Row

pytestmark = pytest.mark.any_backend


def row(iteration: int, seconds: float) -> Row:
    return Row(iteration, 0.1, 50.0, 50.0, 1.0, 1.0, 100.0, seconds)


def test_the_time_left_is_in_proportion_to_what_was_computed(tmp_path, monkeypatch):
    """plain-20 is half done after 100 seconds; ResNet-56 has 3.09 times as many multiply-adds."""
    jobs = [Job(cifar10(56), CIFAR10, 0, tmp_path / "56"), Job(cifar10(20, None), CIFAR10, 0, tmp_path / "20")]
    queue = Queue(jobs)
    assert [job.network.name for job in queue.jobs] == ["plain-20", "ResNet-56"]
    assert queue.time_left(1) == ""
    (tmp_path / "20").mkdir()
    (tmp_path / "20" / "run.json").touch()
    half = reading.Run(tmp_path / "20", {}, (row(32_000, 100.0),), None)
    read = reading.read
    monkeypatch.setattr(reading, "read", lambda path: half if path == half.path else read(path))
    ratio = cifar10(56).multiply_adds / cifar10(20).multiply_adds
    assert ratio == pytest.approx(3.09, abs=0.01)
    minutes, seconds = divmod(round(100 + 200 * ratio), 60)
    assert queue.time_left(1) == f"; about {minutes}:{seconds:02} left for 2 runs"
    (tmp_path / "56").mkdir()
    (tmp_path / "56" / "run.json").write_text("{")  # which a checkpoint may replace
    assert queue.time_left(1) == f"; about {minutes}:{seconds:02} left for 2 runs"


def test_what_all_take_follows_from_the_first():
    """A net of 6n + 2 layers has 2n convolutions in each stage: plain-20 and ResNet-56 take 4.09 times plain-20."""
    queue = Queue([Job(cifar10(56), CIFAR10, 0, Path("56")), Job(cifar10(20, None), CIFAR10, 0, Path("20"))])
    minutes, seconds = divmod(round(100 * (1 + 125_485_696 / 40_551_040)), 60)
    assert queue.time_of_all(100.0) == f"all     about {minutes}:{seconds:02} for 2 runs, by multiply-adds"


def test_a_queue_of_two_seeds(small_npz, tmp_path):
    out = tmp_path / "table"
    options = ["--only", "plain-20", "--seeds", "0,1", "--iterations", "2", "--batch-size", "6"]
    command = ["recipes/table6.py", *options, "--data-dir", str(small_npz), "--out", str(out)]
    done = run_python(*command)
    assert done.returncode == 0, done.stderr
    assert "1 of 2: plain-20, seed 0" in done.stdout
    assert "left for 1 runs" in done.stdout
    first, second = out / "plain-20-seed0", out / "plain-20-seed1"
    digest = hashlib.sha256((first / "model.keras").read_bytes()).hexdigest()
    assert run_json(first)["files"]["model.keras"]["sha256"] == digest
    assert digest in (first / "README.md").read_text(encoding="utf-8")
    assert not (second / "model.keras").exists()
    assert not list(out.rglob("arrays.npz"))
    before = run_json(second)
    again = run_python(*command)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("already finished") == 2
    assert run_json(second) == before
    anew = run_python(*command, "--fresh")
    assert anew.returncode == 0, anew.stderr
    assert "1 of 2: plain-20, seed 0" in anew.stdout
    assert (out / "plain-20-seed0-2" / "README.md").exists()
    assert not (out / "plain-20-seed1-2" / "model.keras").exists()
    assert digest in (first / "README.md").read_text(encoding="utf-8")
    assert (first / "model.keras").exists()


def test_all_images(small_npz, tmp_path):
    options = ["--only", "plain-20", "--all-images", "--iterations", "2", "--batch-size", "6"]
    done = run_python("recipes/table6.py", *options, "--data-dir", str(small_npz), "--out", str(tmp_path / "table"))
    assert done.returncode == 0, done.stderr
    assert "No images are held out: validation errors are those of the test images." in done.stdout
    run = run_json(tmp_path / "table" / "plain-20-seed0")
    assert [run["data"][f"{part}_images"] for part in ("train", "validation", "test")] == [60, 30, 30]
    assert run["results"]["validation_error"] == pytest.approx(run["results"]["test_error"], abs=1e-3)


@pytest.mark.parametrize(("options", "text"), [(["--only", "ResNet-18"], "ResNet-18"), (["--only"], "--only")])
def test_an_unknown_net_is_one_line(options, text):
    done = run_python("recipes/table6.py", *options)
    assert done.returncode == 2
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1
