"""Only one process at a time writes a run folder, even where the file system has no locks."""

import errno
import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from resnet_keras import InputOutput
from resnet_keras.runs import processes, storage
from resnet_keras.runs.locking import HOLDER, LOCK, lock
from resnet_keras.runs.processes import Process

pytestmark = [
    pytest.mark.any_backend,
    pytest.mark.skipif(sys.platform != "linux", reason="flock and /proc are Linux's"),
]

# Takes the folder at one line that it reads and releases it at the next, on a file system with or without locks.
WRITER = """
import errno, fcntl, sys
from pathlib import Path
from resnet_keras.errors import InputOutput
from resnet_keras.runs import locking

def without(*_):
    raise OSError(errno.ENOLCK, "No locks available")

if sys.argv[2] == "without":
    fcntl.flock = without
locking.PATIENCE_S = 0.5
print("ready", flush=True)
for _ in sys.stdin:
    try:
        with locking.lock(Path(sys.argv[1])):
            print("holds", flush=True)
            sys.stdin.readline()
        print("released", flush=True)
    except InputOutput as error:
        print(error, flush=True)
        sys.stdin.readline()
"""


class Writer:
    def __init__(self, folder, locks):
        command = [sys.executable, "-c", WRITER, str(folder), locks]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.said() == "ready"

    def tell(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def said(self):
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def writers(tmp_path):
    started = []

    def start(locks, count=1):
        made = [Writer(tmp_path / "run", locks) for _ in range(count)]
        started.extend(made)
        return made

    yield start
    for writer in started:
        writer.end()


@pytest.fixture
def without_locks(monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)


def put(folder, **other):
    """Writes a holder's file: that of this process, except as given."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{HOLDER}0123456789abcdef.json"
    file.write_text(json.dumps(Process.this()._asdict() | other))
    return file


@pytest.mark.parametrize("locks", ["with", "without"])
def test_a_folder_whose_holder_was_killed_is_taken_over(tmp_path, writers, locks):
    killed, next_one = writers(locks, 2)
    killed.tell()
    assert killed.said() == "holds"
    os.kill(killed.process.pid, signal.SIGKILL)
    killed.process.wait()
    assert len(list((tmp_path / "run").glob(f"{HOLDER}*"))) == 1
    next_one.tell()
    assert next_one.said() == "holds"
    next_one.tell()
    assert next_one.said() == "released"
    assert [file.name for file in (tmp_path / "run").iterdir()] == [LOCK]


@pytest.mark.parametrize("locks", ["with", "without"])
def test_of_several_that_ask_at_once_for_a_dead_holders_folder_exactly_one_gets_it(tmp_path, writers, locks):
    racers = writers(locks, 4)
    for _ in range(5):
        put(tmp_path / "run", pid=2**22 + 1)  # beyond Linux's highest process ID
        for racer in racers:
            racer.tell()
        said = [racer.said() for racer in racers]
        assert said.count("holds") == 1, said
        (winner,) = (racer for racer, text in zip(racers, said, strict=True) if text == "holds")
        assert sum("One process at a time writes to a run folder" in text for text in said) == 3
        for racer in racers:
            racer.tell()
        assert winner.said() == "released"


def test_a_reused_number_is_another_process(tmp_path, without_locks):
    """This process has the holder's number and is alive, but the holder started at another time."""
    file = put(tmp_path, started="1")
    with lock(tmp_path):
        assert not file.exists()


def test_a_holder_before_a_restart_of_this_host_has_ended(tmp_path, without_locks, monkeypatch):
    machine = tmp_path / "machine-id"
    machine.write_text("8d48f2f\n")
    monkeypatch.setattr(processes, "MACHINE_ID", machine)
    put(tmp_path / "run", boot="another boot")
    with lock(tmp_path / "run"):
        pass


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({}, f"process {os.getpid()} on {os.uname().nodename}"),
        ({"host": "node-17", "pid": 4711}, "process 4711 on node-17"),
        # Another host of this name, another container on this host, a system that does not tell start times.
        ({"machine": "other", "boot": "other", "pid": 4711}, "process 4711 on"),
        ({"boot": f"{Process.this().boot.split()[0]} pid:[1]", "pid": 4711}, "process 4711 on"),
        ({"started": "", "pid": 2**22 + 1}, "process 4194305 on"),
        ({"pid": "no number"}, "another process"),
    ],
    ids=["alive", "another host", "another host of this name", "another container", "no start", "no number"],
)
def test_a_holder_that_may_live_is_refused_with_what_to_remove(tmp_path, without_locks, other, named):
    file = put(tmp_path / "run", **other)
    with pytest.raises(InputOutput, match="One process at a time writes") as caught, lock(tmp_path / "run"):
        pass
    assert named in str(caught.value)
    assert f"remove {file}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "run").glob(f"{HOLDER}*")) == [file]
    file.unlink()
    with lock(tmp_path / "run"):
        pass


def test_a_kernels_lock_is_believed_before_any_file(tmp_path):
    """As when a container takes over from one of another name."""
    file = put(tmp_path / "run", host="node-17")
    with lock(tmp_path / "run"):
        assert not file.exists()


def test_folders_of_earlier_versions_with_their_lock_files_go_on(tmp_path, without_locks):
    (tmp_path / LOCK).write_text("process 1 on this-host\n")
    with lock(tmp_path):
        pass
    assert (tmp_path / LOCK).read_text() == "process 1 on this-host\n"


def test_a_writer_whose_own_files_are_swept_meanwhile_is_no_failure(tmp_path, monkeypatch):
    real = storage.flush

    def swept_once(path):
        storage.sweep(tmp_path)
        monkeypatch.setattr(storage, "flush", real)
        real(path)

    monkeypatch.setattr(storage, "flush", swept_once)
    with lock(tmp_path):
        assert len(list(tmp_path.glob(f"{HOLDER}*"))) == 1


def test_when_a_process_started_as_ps_says_it(monkeypatch, tmp_path):
    """How it is found on systems without /proc; Linux's ps says it too."""
    if not any((folder / "ps").exists() for folder in map(type(tmp_path), os.environ["PATH"].split(os.pathsep))):
        pytest.skip("needs ps")
    monkeypatch.setattr(processes, "PROC", tmp_path)
    this = Process.this()
    assert this.started.split()[-1].isdecimal()  # the year
    assert not this.has_ended()
    assert this._replace(pid=2**22 + 1).has_ended()
    assert this._replace(started="Mon Jan 1 00:00:00 2001").has_ended()
