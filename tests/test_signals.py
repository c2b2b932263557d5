"""Signals and closed pipes on a recipe's real processes; a later one in a test resumes the run of the one before."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import BACKEND, ROOT, run_json

from resnet_keras import signals

pytestmark = [pytest.mark.any_backend, pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")]


@pytest.fixture
def command(small_npz, tmp_path):
    """A run that is longer than any test watches it."""
    return recipe(small_npz, tmp_path / "run", iterations=3_000)


def recipe(images, folder, iterations):
    options = ["--depth", "8", "--iterations", str(iterations), "--batch-size", "2", "--data-dir", str(images)]
    return [sys.executable, "recipes/cifar10.py", *options, "--out", str(folder)]


def start(command):
    environment = os.environ | {"KERAS_BACKEND": BACKEND, "TF_CPP_MIN_LOG_LEVEL": "3"}

    def restore():
        """A shell's background job ignores SIGINT, and what `nohup` starts SIGHUP; these tests may run as either."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, cwd=ROOT, env=environment, preexec_fn=restore, **pipes)


def wait_for_checkpoint(folder, process, but=()):
    """Waits for a checkpoint that is not one of `but`, and returns the names of all."""
    for _ in range(15_000):
        names = {path.name for path in (folder / "checkpoints").glob("iteration-*")}
        if names - set(but):
            return names
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    raise AssertionError("no checkpoint in five minutes")


def end(process, signum):
    """Sends a signal and returns what the process printed, as lines, once it has ended."""
    process.send_signal(signum)
    out, err = process.communicate(timeout=300)  # a second or two, but a busy disk flushes when it likes
    assert "Traceback" not in err
    return out.splitlines(), err.strip().splitlines()


def test_each_signal_saves_the_run_and_says_so(command, tmp_path):
    folder = tmp_path / "run"
    seen = set()
    for signum, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
        process = start(command)
        wait_for_checkpoint(folder, process, seen)
        _, err = end(process, signum)
        assert process.returncode == code, err
        assert err[-1].startswith(f"cifar10.py: stopped by {signum.name}: saved at iteration")
        assert run_json(folder)["results"] is None
        seen = {path.name for path in (folder / "checkpoints").glob("iteration-*")}
    assert len(run_json(folder)["continued"]) == 2


def test_a_second_signal_ends_it_at_once_without_damage(command, tmp_path):
    folder = tmp_path / "run"
    process = start(command)
    seen = wait_for_checkpoint(folder, process)
    process.send_signal(signal.SIGTERM)
    end(process, signal.SIGINT)
    assert process.returncode in (143, 130)
    again = start(command)
    wait_for_checkpoint(folder, again, seen | {path.name for path in (folder / "checkpoints").glob("iteration-*")})
    out, _ = end(again, signal.SIGTERM)
    assert any("resuming from iteration" in line for line in out)
    assert not any("Damaged" in line for line in out)


def test_a_second_process_is_refused_by_the_name_of_the_first_until_that_is_dead(command, tmp_path):
    folder = tmp_path / "run"
    first = start(command)
    seen = wait_for_checkpoint(folder, first)
    second = start(command)
    _, err = second.communicate(timeout=300)
    assert second.returncode == 4
    assert f"process {first.pid} on " in err.strip().splitlines()[-1]
    first.kill()
    first.communicate()
    third = start(command)
    wait_for_checkpoint(folder, third, seen | {path.name for path in (folder / "checkpoints").glob("iteration-*")})
    end(third, signal.SIGTERM)
    assert third.returncode == 143


def test_a_run_whose_output_nobody_reads_any_more_goes_on(small_npz, tmp_path):
    process = start(recipe(small_npz, tmp_path / "run", iterations=120))
    process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert run_json(tmp_path / "run")["results"]["test_error"] >= 0


def test_a_second_signal_leaves_a_program_at_once(monkeypatch):
    left = []
    monkeypatch.setattr(signals, "leave", left.append)
    monkeypatch.setattr(signals, "_programs", True)
    with signals.Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert (stop.signum, left) == (signal.SIGTERM, [])
        signal.raise_signal(signal.SIGTERM)  # a shell's background job ignores SIGINT
        assert left == [signal.SIGTERM]


def test_a_second_signal_never_ends_the_process_of_a_library(monkeypatch):
    """As in a notebook's kernel, whose `finally` and `atexit` have to run."""
    monkeypatch.setattr(signals, "leave", lambda signum: pytest.fail("the process was ended"))
    with signals.Stop():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt, match="at once"):
            signal.raise_signal(signal.SIGTERM)
