"""A recipe as a process: one-line errors, exit codes, streams that outlive their reader."""

import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from resnet_keras import signals
from resnet_keras.errors import Diverged, InputOutput, InvalidValue, Lost, OtherRun, Stopped, readable
from resnet_keras.programs.processes import here
from resnet_keras.spec.distribution import Distribution

INTERRUPTED = 130
LONGEST_LINE = 1_000
"""Longest error that is shown, in characters: a value on the command line can be of any length."""


def main(program: Callable[[Sequence[str]], None]) -> NoReturn:
    """Runs a recipe: a known error, or a signal that ends it, is printed as one line, without a traceback.

    Of several processes started by a launcher, the first prints; the others print only what it cannot know.
    """
    signals.raise_on_signals()
    where = here()
    if not where.leads:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process lives
    _fill_streams()
    # A closed viewer, or a full disk under a log, is no reason to lose a run.
    sys.stdout, sys.stderr = _TolerantStream(sys.stdout), _TolerantStream(sys.stderr)
    _end(where, _run(program, where))


def _run(program: Callable[[Sequence[str]], None], where: Distribution) -> int:
    """Runs the program and returns its exit code."""
    try:
        program(sys.argv[1:])
    except OtherRun as error:
        _say(error)
        _say_differences(error)
        return error.exit_code
    except (InvalidValue, Diverged, InputOutput, Stopped) as error:
        # The error is the same in all processes or, if one is lost, in all the others.
        if where.leads or (isinstance(error, InputOutput) and not isinstance(error, Lost)):
            _say(error, where)
        return error.exit_code
    except OSError as error:
        _say(error, where)
        return InputOutput.exit_code
    except KeyboardInterrupt:
        _say("interrupted", where)
        return INTERRUPTED
    except SystemExit as error:
        if where.processes == 1 or not isinstance(error.code, int):
            raise
        return error.code
    except Exception:
        if where.processes == 1:
            raise
        traceback.print_exc()
        return 1
    return 0


def _end(where: Distribution, code: int) -> NoReturn:
    if where.processes > 1 and code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # on a normal exit, engines would wait for the others
    sys.exit(code)


def _fill_streams() -> None:
    """Opens /dev/null for each standard stream that the process was started without (`>&-`).

    Python sets such a stream to None, and the next file to be opened would get its number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115, PTH123


class _TolerantStream:
    """A stream that discards what can no longer be written, instead of ending the program."""

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
            # From now on output is discarded, including what Python itself flushes at exit.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _say(message: object, where: Distribution | None = None) -> None:
    line = textwrap.shorten(readable(str(message)), LONGEST_LINE, placeholder=" ...")
    rank = "" if where is None or where.leads else f"rank {where.rank}: "
    print(f"{Path(sys.argv[0]).name}: {rank}{line}", file=sys.stderr)


def _say_differences(error: OtherRun) -> None:
    rows = [("", "in the folder", "asked for"), *error.differences]
    widths = [min(60, max(len(row[column]) for row in rows)) for column in (0, 1)]
    for field, held, asked in rows:
        print(f"  {field:{widths[0]}}  {held:{widths[1]}}  {asked}".rstrip(), file=sys.stderr)
