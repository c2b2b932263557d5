"""A process, identified so that another can tell whether it still runs: by host, number and start time.

A number alone is not enough: a later process may get the same one. Why not psutil: on Linux it computes the start time
from the clock, which may be set while a process runs; a live process would then look like a different one.
"""

import os
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
MACHINE_ID = Path("/etc/machine-id")
STARTED = 22
"""The field of /proc/PID/stat with the start time, in clock ticks since the system started."""


class Process(NamedTuple):
    """A process; two equal ones are the same process.

    Attributes:
        host: the name of its host.
        pid: its number.
        machine: what tells hosts of the same name apart; empty if nothing does.
        boot: boot ID of that host, and the namespace of the number; empty if there are none.
        started: when it started, as the system reports it; empty if it does not.
    """

    host: str
    pid: int
    machine: str
    boot: str
    started: str

    @classmethod
    def this(cls) -> "Process":
        """The calling process."""
        pid = os.getpid()
        return cls(platform.node(), pid, _text(MACHINE_ID), _boot(), started(pid))

    def has_ended(self) -> bool:
        """Whether it has certainly ended. False for a process that cannot be seen from here."""
        here = Process.this()
        if (self.host, self.machine) != (here.host, here.machine):
            return False
        if self.boot != here.boot:
            # A reboot of this host has ended it. In another namespace, such as a container's, it may still run.
            return bool(self.machine) and self.boot.partition(" ")[0] != here.boot.partition(" ")[0]
        if not self.started:
            return False
        return not _exists(self.pid) or started(self.pid) not in ("", self.started)


def started(pid: int) -> str:
    """When the process with this number started, as text to compare; empty if there is none or it cannot be known."""
    if os.name == "nt":
        return ""
    if (PROC / "self" / "stat").exists():
        # Field 3 follows the name, which is in brackets and may contain any character.
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
    except (OSError, OverflowError):  # another user's process, which /proc may hide
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
