"""A process as another one can tell whether it still runs: its host, its number, and when it started.

A number alone is not enough: it is given again to a later process. Why not psutil: on Linux it computes the start from
the clock, which is set while a process runs, so that a living one would look like another.
"""

import os
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
MACHINE_ID = Path("/etc/machine-id")
STARTED = 22
"""Which field of /proc/PID/stat is the start, in clock ticks since the system started."""


class Process(NamedTuple):
    """A process; two that are equal are one and the same.

    Attributes:
        host: the name of its host.
        pid: its number.
        machine: what tells hosts of one name apart; empty where nothing does.
        boot: of that host, and the namespace that its number is of; empty where there are none.
        started: when it started, as the system says it; empty where it does not.
    """

    host: str
    pid: int
    machine: str
    boot: str
    started: str

    @classmethod
    def this(cls) -> "Process":
        """The process that asks."""
        pid = os.getpid()
        return cls(platform.node(), pid, _text(MACHINE_ID), _boot(), started(pid))

    def has_ended(self) -> bool:
        """Whether it surely no longer runs. False for one that cannot be seen from here."""
        here = Process.this()
        if (self.host, self.machine) != (here.host, here.machine):
            return False
        if self.boot != here.boot:
            # Another boot of this host ended it. Another namespace, a container's, may still hold it.
            return bool(self.machine) and self.boot.partition(" ")[0] != here.boot.partition(" ")[0]
        if not self.started:
            return False
        return not _exists(self.pid) or started(self.pid) not in ("", self.started)


def started(pid: int) -> str:
    """When the process of this number started, as text to compare; empty where there is none or nobody says."""
    if os.name == "nt":
        return ""
    if (PROC / "self" / "stat").exists():
        # After the name, which is in brackets and may hold any character, comes field 3.
        fields = _text(PROC / str(pid) / "stat").rpartition(")")[2].split()
        if len(fields) <= STARTED - 3:
            return ""
        return "ended" if fields[0] in "ZX" else fields[STARTED - 3]
    try:
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C", "TZ": "UTC"})
    except OSError:
        return ""
    return " ".join(done.stdout.split())


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, which /proc may hide
        return True
    return True


def _boot() -> str:
    boot = _text(PROC / "sys" / "kernel" / "random" / "boot_id")
    try:
        return f"{boot} {(PROC / 'self' / 'ns' / 'pid').readlink()}"
    except OSError:
        return boot


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
