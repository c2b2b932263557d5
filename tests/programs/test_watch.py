"""What watch.py shows of runs, and how it ends."""

import io
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, run_python
from made_runs import a_run
from rich.console import Console

from resnet_keras.plotting.terminal import BRAILLE, terminal_curves

pytestmark = pytest.mark.any_backend
WATCH = "recipes/watch.py"
UNFINISHED = "tests/files/8d48f2f/torch/interrupted"


def test_dots_are_where_the_errors_are():
    """Training falls from 50 to 30 %, validation from 55 to 35 %, at iterations 100 to 300 of 300."""
    console = Console(width=67, record=True, file=io.StringIO())
    console.print(terminal_curves([a_run(8)], width=67, height=10))
    lines = console.export_text().splitlines()
    chart = [line[7:].ljust(60, chr(BRAILLE)) for line in lines[:10]]
    filled = [[ord(char) > BRAILLE for char in line] for line in chart]
    assert lines[0].startswith("55.0 %")
    assert lines[9].startswith("30.0 %")
    assert not any(any(line[:19]) for line in filled)  # nothing before a third of the way
    assert filled[0][20] or filled[0][19]  # the highest error, at the first row's iteration
    assert filled[8][59] or filled[7][59]  # 35 % is four fifths down
    assert "iteration 300" in lines[10]
    assert "ResNet-8 seed 0" in lines[11]


def test_finished_runs_are_shown_and_it_ends(tmp_path):
    done = run_python(WATCH, "results/degradation")
    assert done.returncode == 0, done.stderr
    for name in ("plain-26", "ResNet-26"):
        assert name in done.stdout
    assert done.stdout.count("finished") == 4
    picture = run_python(WATCH, "results/degradation", "--out", str(tmp_path / "now"))
    assert picture.returncode == 0, picture.stderr
    assert (tmp_path / "now.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_has_not_ended_is_watched_until_ctrl_c():
    process = subprocess.Popen(
        [sys.executable, WATCH, UNFINISHED, "--every", "0.2"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    line = ""
    until = time.monotonic() + 120
    while "ResNet-6" not in line and time.monotonic() < until:
        line = process.stdout.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    once = run_python(WATCH, UNFINISHED, "--once")
    assert once.returncode == 0
    assert "running, or interrupted" in once.stdout


def test_nothing_to_watch_is_one_line(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        done = run_python(WATCH, str(folder))
        assert done.returncode == 4
        assert len(done.stderr.strip().splitlines()) == 1
