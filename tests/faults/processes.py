"""Processes that are killed, or whose file calls fail, on purpose.

A process that has imported Keras but computed nothing yet forks one for each trial, so that the seconds of importing
are spent once. Run it with `interpose.c` preloaded: `preloaded()` gives the environment.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).with_name("interpose.c")
FAILED, RAISED = 4, 99
"""Exit codes of a trial that raises an `InputOutput`, and of one that raises any other exception."""


def compiler() -> str | None:
    """The C compiler, or None where faults cannot be injected."""
    return shutil.which("cc") if sys.platform == "linux" else None


def preloaded() -> dict[str, str]:
    """The environment in which file calls are counted."""
    library = Path(tempfile.mkdtemp(prefix="faults-")) / "interpose.so"
    subprocess.run([compiler(), "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}


def arm(folder: Path, call: int, error: int = 0) -> None:
    """Makes the file call of this number below `folder`, counted from now, fail with `error`; 0 kills the process."""
    ctypes.CDLL(None).fault_arm(os.fsencode(str(folder)), ctypes.c_long(call), error)


def calls() -> int:
    """File calls since `arm`."""
    count = ctypes.CDLL(None).fault_calls
    count.restype = ctypes.c_long
    return int(count())


def fork(do: Callable[[], object], log: Path | None = None) -> int:
    """Does something in a forked process and returns its process ID; `log` takes what it prints."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = RAISED
    try:
        if log is not None:
            to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(to, 1)
            os.dup2(to, 2)
        do()
        code = 0
    except OSError as error:
        code = getattr(error, "exit_code", RAISED)
        print(f"{type(error).__name__}: {error}", flush=True)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait(pid: int) -> int:
    """The exit code of a forked process, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
