"""Signals and closed pipes on a recipe's real process; each goes on with the run of the one before."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import BACKEND, ROOT, run_json

pytestmark = [pytest.mark.any_backend, pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")]


@pytest.fixture
def command(small_npz, tmp_path):
    options = ["--depth", "8", "--iterations", "250", "--batch-size", "8", "--data-dir", str(small_npz)]
    return [sys.executable, "recipes/cifar10.py", *options, "--out", str(tmp_path / "run")]


def start(command):
    environment = os.environ | {"KERAS_BACKEND": BACKEND, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # A shell's background job would ignore SIGINT; a test may be one.
    restore = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment, **restore
    )


def wait_for_checkpoint(folder, process, but=()):
    """Waits until there is a checkpoint that is not one of `but`, and returns all names."""
    for _ in range(6_000):
        names = {path.name for path in (folder / "checkpoints").glob("iteration-*")}
        if names - set(but):
            return names
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    raise AssertionError("no checkpoint in two minutes")


def test_each_signal_saves_and_a_closed_pipe_does_not_matter(command, tmp_path):
    folder = tmp_path / "run"
    seen = set()
    for signum, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
        process = start(command)
        seen |= wait_for_checkpoint(folder, process, seen)
        sent = time.monotonic()
        process.send_signal(signum)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, (out, err)
        assert time.monotonic() - sent < 30
        last = err.strip().splitlines()[-1]
        assert last.startswith(f"cifar10.py: stopped by {signum.name}: saved at iteration")
        assert "Traceback" not in err
        seen |= {path.name for path in (folder / "checkpoints").glob("iteration-*")}
        assert run_json(folder)["results"] is None

    process = start(command)
    process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert run_json(folder)["results"]["test_error"] >= 0
    assert len(run_json(folder)["continued"]) == 3


def test_a_second_signal_ends_it_at_once_without_damage(command, tmp_path):
    folder = tmp_path / "run"
    process = start(command)
    wait_for_checkpoint(folder, process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (143, 130)
    again = start([*command[:-1], str(folder)])
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert "goes on from iteration" in out
    assert "Damaged" not in out


def test_a_second_process_is_refused_by_the_name_of_the_first(command, tmp_path):
    first = start(command)
    wait_for_checkpoint(tmp_path / "run", first)
    second = start(command)
    _, err = second.communicate(timeout=120)
    assert second.returncode == 4
    assert f"process {first.pid} on " in err.strip().splitlines()[-1]
    first.kill()
    first.communicate()
    third = start(command)  # a dead holder's lock is taken over
    out, err = third.communicate(timeout=300)
    assert third.returncode == 0, err
    assert "goes on from iteration" in out
