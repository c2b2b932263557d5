"""Files that are whole at any moment: written aside in the same folder, flushed to the disk, then renamed.

Why not Keras's `save` alone: it opens the final path, so that a kill or a full disk destroys the file that was there.
What is being written has a name of its own, so that two processes never write one file. In a run folder, which has one
writer, names that begin with `new-` or `old-` are leftovers of a killed process; `sweep` removes them.
"""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from resnet_keras.errors import InputOutput, first_line

NEW, OLD = "new-", "old-"
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM)


class Digest(NamedTuple):
    """What a file has to be: as `run.json` and a checkpoint's manifest keep it."""

    size: int
    """Bytes."""
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> "Digest":
        """The digest of these bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


def atomic_write(path: Path, data: bytes) -> None:
    """Puts a file in place, or leaves what was there.

    Raises:
        OSError: it cannot be written, in one line.
    """
    atomic_replace(path, lambda aside: aside.write_bytes(data))


def atomic_replace(path: Path, make: Callable[[Path], object]) -> None:
    """Puts the file that `make(aside)` writes in place, or leaves what was there. Missing folders are made.

    Of a link, the file that it points to is replaced. A device or pipe is refused: renaming onto it would take it away.

    Raises:
        OSError: it cannot be written, in one line.
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
    """Makes a folder of these files, or leaves what was there; one of the same name is replaced once the new is whole.

    Raises:
        OSError: it cannot be written, in one line.
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
    """Gives a folder its name; one that had it is removed after that, and has it again where that fails.

    No system that Python asks exchanges two names at once: a kill between the two leaves neither.
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
    """Removes a folder; where that is cut short, what is left does not bear its name. A failure is no error."""
    aside = _aside(path, OLD)
    with suppress(OSError):
        path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Removes what a killed process left behind in a folder."""
    for path in [*folder.glob(f"{NEW}*"), *folder.glob(f"{OLD}*")]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def flush(path: Path) -> None:
    """Waits until a file, or a folder's names, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Network and overlay file systems that cannot sync a folder say so; its files are on the disk all the same.
        if not (path.is_dir() and error.errno in NO_FOLDER_SYNC):
            raise
    finally:
        os.close(descriptor)


def check_writable(path: Path) -> None:
    """Makes the folder and tries it.

    Raises:
        OSError: it cannot be made or written.
    """
    trial = _aside(path / "trial", NEW)
    try:
        path.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink(missing_ok=True)  # the process that holds the folder may have swept it
    except (OSError, ValueError) as error:  # ValueError: a null byte
        reason = getattr(error, "strerror", None) or error
        raise InputOutput(f"Runs are written to a folder of yours. Received: {path} ({reason}). Use --out.") from None


def check_file(path: Path) -> None:
    """Tries whether a file can be put in place there, before the work whose result it will hold.

    Raises:
        OSError: it cannot.
    """
    with _one_line(path):
        trial = _aside(_file(path), NEW)
        trial.parent.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()


def _file(path: Path) -> Path:
    """Where a file of that name lies, links followed."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is a device or a pipe")
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _aside(path: Path, prefix: str) -> Path:
    """A name beside `path` that no other process uses; it keeps the suffix, by which Keras and Matplotlib choose."""
    return path.with_name(f"{prefix}{secrets.token_hex(4)}-{path.name}")


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except InputOutput:
        raise
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise InputOutput(f"{path} could not be written: {reason}. What was there before is unchanged.") from error
