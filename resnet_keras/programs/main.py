"""A recipe as a process: one-line errors, exit codes, streams that outlive their reader."""

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from resnet_keras import signals
from resnet_keras.errors import Diverged, InputOutput, InvalidValue, OtherRun, Stopped, readable

INTERRUPTED = 130
LONGEST_LINE = 1_000
"""Characters of an error that are shown: a value on the command line can be of any length."""


def main(program: Callable[[Sequence[str]], None]) -> NoReturn:
    """Runs a recipe: a known error is printed as one line, without a traceback; a signal ends it in one line too."""
    signals.raise_on_signals()
    # A viewer that is closed, a full disk under a log: not a reason to lose a run.
    sys.stdout, sys.stderr = _TolerantStream(sys.stdout), _TolerantStream(sys.stderr)
    try:
        program(sys.argv[1:])
    except OtherRun as error:
        _say(error)
        _say_differences(error)
        sys.exit(error.exit_code)
    except (InvalidValue, Diverged, InputOutput, Stopped) as error:
        _say(error)
        sys.exit(error.exit_code)
    except OSError as error:
        _say(error)
        sys.exit(InputOutput.exit_code)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    sys.exit(0)


class _TolerantStream:
    """A stream that swallows what can no longer be written, instead of ending the program."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]  # a path of any bytes

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except OSError:
            # From now on to nowhere, also what Python itself flushes at the end.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _say(message: object) -> None:
    line = textwrap.shorten(readable(str(message)), LONGEST_LINE, placeholder=" ...")
    print(f"{Path(sys.argv[0]).name}: {line}", file=sys.stderr)


def _say_differences(error: OtherRun) -> None:
    rows = [("", "in the folder", "asked for"), *error.differences]
    widths = [min(60, max(len(row[column]) for row in rows)) for column in (0, 1)]
    for field, held, asked in rows:
        print(f"  {field:{widths[0]}}  {held:{widths[1]}}  {asked}".rstrip(), file=sys.stderr)
