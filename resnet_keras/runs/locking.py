"""Lets one process at a time write a run folder, by a kernel lock where there is one and files that say who holds it.

    .lock             locked by the kernel for as long as its holder lives; empty
    .holder-ID.json   the process that holds or requests the folder; removed when it ends

Where the file system has no locks (Lustre without `flock`, NFS without its lock service), the holder files decide: a
process first writes its own, then looks for others, so of two that arrive at once at least one sees the other. The file
of a process that has ended on this host is removed; names are never reused, so no other file can be removed instead.

Why not filelock: where there are no locks, it waits for a lock that nobody holds, or falls back to a file that outlives
a killed process.
"""

import errno
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from resnet_keras.errors import InputOutput
from resnet_keras.runs import storage
from resnet_keras.runs.processes import Process

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".lock"
"""Earlier versions wrote their process into it. It is never removed: another process may be waiting to lock it."""
HOLDER = ".holder-"
HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
"""Errors raised when another process holds the lock; any other error means that there are no locks."""
PATIENCE_S = 2.0
"""How long the first of several processes that request the folder at once waits for the others to give up."""


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Keeps other processes out of a run folder. The lock of a process that dies is released with it.

    Raises:
        OSError: the folder cannot be written, or another process, which the message names, is writing it.
    """
    storage.check_writable(path)
    try:
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputOutput(f"{path / LOCK} could not be opened: {error.strerror}. Choose another --out.") from None
    try:
        by_kernel = _lock(descriptor, path)
        own = path / f"{HOLDER}{secrets.token_hex(8)}.json"
        try:
            _announce(own)
            if by_kernel:
                for other in _others(path, own):
                    _remove(other)
            else:
                _wait_for_others(path, own)
            yield
        finally:
            _remove(own)
    finally:
        os.close(descriptor)  # which releases the kernel's lock


def _lock(descriptor: int, path: Path) -> bool:
    """Locks the file; False where the file system has no locks."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in HELD:
            return False
        named = [process for process in map(_read, _others(path)) if process is not None and not process.has_ended()]
        raise InputOutput(
            f"One process at a time writes to a run folder. Received: {path}, in use by "
            f"{_name(named[0] if named else None)}. Wait for it to finish, or choose another --out."
        ) from None
    return True


def _announce(own: Path) -> None:
    """Writes this process's file; retries, as the holder of the folder may sweep it away while it is being written."""
    data = (json.dumps(Process.this()._asdict()) + "\n").encode()
    for tries_left in (2, 1, 0):
        try:
            return storage.atomic_write(own, data)
        except InputOutput:
            if not tries_left:
                raise


def _wait_for_others(path: Path, own: Path) -> None:
    """Waits until no other process holds or requests the folder. Of several requests, only the first by name waits."""
    patience = time.monotonic() + PATIENCE_S
    while others := [file for file in _others(path, own) if not _ended(file)]:
        first = min(others)
        if first < own or time.monotonic() > patience:
            raise InputOutput(
                f"One process at a time writes to a run folder. Received: {path}, in use by {_name(_read(first))}. "
                f"Wait for it to finish, or choose another --out; if it is no longer running, remove {first}."
            )
        time.sleep(0.05)


def _ended(file: Path) -> bool:
    """Whether the holder has gone; the file of one that has ended is removed."""
    process = _read(file)
    if process is None:
        return not file.exists()
    if process.has_ended():
        _remove(file)
        return True
    return False


def _others(path: Path, own: Path | None = None) -> list[Path]:
    return sorted(file for file in path.glob(f"{HOLDER}*.json") if file != own)


def _read(file: Path) -> Process | None:
    try:
        process = Process(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return process if type(process.pid) is int and process.pid > 0 else None


def _name(process: Process | None) -> str:
    return "another process" if process is None else f"process {process.pid} on {process.host}"


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()
