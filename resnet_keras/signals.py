"""Signals: Ctrl-C, SIGTERM and a closed terminal end a run once it has saved itself; a second one ends it at once.

A second one ends a program's process; in a library, as in a notebook, it is a `KeyboardInterrupt` where the code is.

A signal that was ignored when the program started, as `nohup` does, stays ignored.
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
"""Whether this process is a program of ours, which a second signal may end."""


class Stop:
    """Whether a signal asked to stop, for as long as it is entered; a second signal ends it at once.

    Outside the main thread, where Python handles no signals, it never asks.
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
        """Whether to stop."""
        return self.signum is not None

    asked_here = asked
    """The same, of this process, where several stop together."""

    def _ask(self, signum: int, _: FrameType | None) -> None:
        if self.signum is not None:
            if not _programs:
                raise Stopped(signum, "at once; the last checkpoint stays")
            leave(signum)
        self.signum = signum


def raise_on_signals() -> None:
    """From now on a signal raises `Stopped` where the program is: while there is nothing to save. For programs."""
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
    """Ends the process now. Every file is whole at any moment, so nothing is damaged."""
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
    os._exit(128 + signum)


def _install(handler: Handler) -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    taken = [signum for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
    return {signum: signal.signal(signum, handler) for signum in taken}
