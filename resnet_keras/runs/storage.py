"""Files that are complete at any moment: written under another name in the same folder, flushed to disk, then renamed.

Why not Keras's `save` alone: it opens the final path, so a kill or a full disk destroys the file that was there. What
is being written has a unique name, so two processes never write the same file. In a run folder, which has one writer,
such names are leftovers of a killed process; `sweep` removes them.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from resnet_keras.errors import InputOutput, first_line

NEW, OLD = "new-", "old-"
ASIDE = re.compile(rf"(?:{NEW}|{OLD})[0-9a-f]{{16}}-.+", re.DOTALL)
"""The names that `_aside` makes, and that nobody else would: a date has 8 digits."""
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM)


class Digest(NamedTuple):
    """What a file must match, as stored in `run.json` and a checkpoint's manifest."""

    size: int
    """Bytes."""
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> "Digest":
        """The digest of these bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


def atomic_write(path: Path, data: bytes) -> None:
    """Writes a file completely, or leaves what was there.

    Raises:
        OSError: the file cannot be written; the message is one line.
    """
    atomic_replace(path, lambda aside: aside.write_bytes(data))


def atomic_replace(path: Path, make: Callable[[Path], object]) -> None:
    """Puts the file that `make(aside)` writes in place, or leaves what was there. Missing folders are created.

    For a link, the file that it points to is replaced. A device or pipe is refused: renaming onto it would remove it.

    Raises:
        OSError: the file cannot be written; the message is one line.
    """
    with _one_line(path):
        path = _file(path)
        aside = _aside(path, NEW)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            make(aside)
            flush(aside)
            aside.replace(path)
        except BaseException:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        flush(path.parent)


def atomic_write_folder(path: Path, files: dict[str, bytes]) -> None:
    """Creates a folder with these files, or leaves what was there; an old folder is replaced once the new is complete.

    Raises:
        OSError: the folder cannot be written; the message is one line.
    """
    aside = _aside(path, NEW)
    with _one_line(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.mkdir()
            for name, data in files.items():
                (aside / name).write_bytes(data)
                flush(aside / name)
            flush(aside)
            _swap(aside, path)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        flush(path.parent)


def _swap(aside: Path, path: Path) -> None:
    """Gives a folder its name; an old folder of that name is removed afterwards, or restored on failure.

    Python offers no way to exchange two names at once: a kill between the two renames leaves neither.
    """
    old = _aside(path, OLD)
    with suppress(FileNotFoundError):
        path.rename(old)
    try:
        aside.rename(path)
    except BaseException:
        with suppress(OSError):
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Removes a folder; if that is cut short, what is left no longer has its name. A failure is not an error."""
    aside = _aside(path, OLD)
    with suppress(OSError):
        path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Removes what a killed process left behind in a folder, and nothing else: the folder may hold others' files."""
    for path in [path for path in folder.glob("*") if ASIDE.fullmatch(path.name)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def flush(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Network and overlay file systems that cannot sync a folder report it; its files are on disk all the same.
        if not (path.is_dir() and error.errno in NO_FOLDER_SYNC):
            raise
    finally:
        os.close(descriptor)


def check_writable(path: Path) -> None:
    """Creates the folder and checks that it can be written.

    Raises:
        OSError: the folder cannot be created or written.
    """
    trial = _aside(path / "trial", NEW)
    try:
        path.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink(missing_ok=True)  # the process that holds the folder may have swept it
    except (OSError, ValueError) as error:  # ValueError: a null byte
        reason = getattr(error, "strerror", None) or error
        raise InputOutput(
            f"Output goes to a writable folder. Received: {path} ({reason}). Choose another --out."
        ) from None


def check_file(path: Path) -> None:
    """Checks that a file can be written at this path, before the work whose result it will hold.

    Raises:
        OSError: the file cannot be written.
    """
    with _one_line(path):
        trial = _aside(_file(path), NEW)
        trial.parent.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()


def _file(path: Path) -> Path:
    """Where the file at this path lies, with links followed."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is a device or a pipe")
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _aside(path: Path, prefix: str) -> Path:
    """A name beside `path` that no other process uses; keeps the suffix: Keras and Matplotlib choose by it."""
    return path.with_name(f"{prefix}{secrets.token_hex(8)}-{path.name}")


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except InputOutput:
        raise
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise InputOutput(f"{path} could not be written: {reason}. What was there before is unchanged.") from error
