"""Signals: Ctrl-C, SIGTERM or a closed terminal ends a run once its state is saved; a second signal ends it at once.

In a program the second signal ends the process; in library use, as in a notebook, it raises `KeyboardInterrupt` in the
running code.

A signal that was ignored when the program started, as under `nohup`, stays ignored.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from resnet_keras.errors import Stopped

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Windows has no SIGHUP."""
SHOW_CURSOR = "\x1b[?25h"

Handler = Callable[[int, FrameType | None], Any]


_programs = False
"""Whether this process is one of this package's programs, which a second signal may end."""


class Stop:
    """Context manager that records whether a signal asked to stop; a second signal ends the run at once.

    Outside the main thread, where Python handles no signals, it never records one.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        self._before = _install(self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    @property
    def asked(self) -> bool:
        """Whether a signal asked to stop."""
        return self.signum is not None

    asked_here = asked
    """The same for this process alone, where several stop together."""

    def _ask(self, signum: int, _: FrameType | None) -> None:
        if self.signum is not None:
            if not _programs:
                raise Stopped(signum, "at once; the last checkpoint stays")
            leave(signum)
        self.signum = signum


def raise_on_signals() -> None:
    """From now on a signal raises `Stopped` in the running code. For programs, while there is nothing to save."""
    global _programs
    _programs = True
    seen: list[int] = []

    def stop(signum: int, _: FrameType | None) -> None:
        if seen:
            leave(signum)
        seen.append(signum)
        raise Stopped(signum)

    _install(stop)


def leave(signum: int) -> NoReturn:
    """Ends the process now. Every file is complete at any moment, so nothing is damaged."""
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
    os._exit(128 + signum)


def _install(handler: Handler) -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    taken = [signum for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
    return {signum: signal.signal(signum, handler) for signum in taken}
