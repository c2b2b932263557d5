"""Draw the screen of a program while it runs, as an SVG for the documentation.

    KERAS_BACKEND=jax python recipes/screen.py \\
        --until "430/800" --out docs/images/terminal.svg \\
        "recipes/degradation.py --depths 8"

Runs the Python program in its own terminal until the screen shows the text of --until, then stops it as Ctrl-C would.
Needs a POSIX system and pyte (pip install -e ".[docs]").
"""

import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from io import StringIO
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.style import Style
from rich.text import Text

from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.runs import storage

PATIENCE_S = 60.0
"""Time for the program to end by itself after the signal."""
PROMPT = "$ "
FONT_OF_A_HOST = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Web fonts that Rich refers to; removed, so that the picture fetches nothing."""
BASIC = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
"""The first eight colours of a terminal, as pyte calls them."""


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("--out", type=file_path, required=True, metavar="FILE", help="SVG file to write")
    add("--until", required=True, metavar="TEXT", help="draw the screen once it shows this text")
    add("--columns", type=int, default=100, metavar="N", help="width of the screen (default: 100)")
    add("--lines", type=int, default=24, metavar="N", help="height of the screen (default: 24)")
    add(
        "--timeout", type=float, default=3600.0, metavar="SECONDS", help="how long to wait for the text (default: 3600)"
    )
    add("command", type=shlex.split, metavar="PROGRAM", help="a Python program and its arguments, in quotes")
    options = parser.parse(arguments)
    if not options.command or not (20 <= options.columns <= 400 and 2 <= options.lines <= 200):
        raise InvalidValue(
            "A screen has 20 to 400 columns, 2 to 200 lines and a program. Received: "
            f"{options.columns} and {options.lines}, {shlex.join(options.command) or 'no program'}."
        )
    if find_spec("pyte") is None or sys.platform == "win32":
        raise InvalidValue('A screen needs pyte and a POSIX system. Install pyte: pip install -e ".[docs]"')
    storage.check_writable(options.out.parent)
    rows = _rows(options.command, options.until, options.columns, options.lines, options.timeout)
    command = Text(f"{PROMPT}python {shlex.join(options.command)}", "bold")
    drawn = Console(record=True, width=options.columns, file=StringIO(), color_system="truecolor")
    drawn.print(command, *rows, sep="\n", highlight=False)
    svg = FONT_OF_A_HOST.sub("", drawn.export_svg(title=options.command[0], unique_id="screen"))
    storage.atomic_write(options.out, svg.encode())
    print(options.out)


def _rows(command: Sequence[str], until: str, columns: int, lines: int, timeout: float) -> list[Text]:
    """The program's screen at the moment it shows the text, without trailing empty lines."""
    import pty  # not on Windows

    import pyte

    screen = pyte.Screen(columns, lines)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    size = {"COLUMNS": str(columns), "LINES": str(lines), "TERM": "xterm-256color"}
    done = subprocess.Popen(
        [sys.executable, *command], stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | size
    )
    os.close(theirs)
    end = time.monotonic() + timeout
    try:
        while until not in "\n".join(screen.display):
            if time.monotonic() > end or not _feed(stream, ours, 1.0):
                shown = " / ".join(line.strip() for line in screen.display if line.strip())
                raise InputOutput(f"The program shows {until!r} before it ends. Received: {shown}.")
        return _texts(screen)
    finally:
        done.send_signal(signal.SIGINT)
        end = time.monotonic() + PATIENCE_S
        while done.poll() is None and time.monotonic() < end:
            _feed(stream, ours, 0.1)  # the program would block on a terminal that nobody reads
        done.kill()
        os.close(ours)


def _feed(stream: Any, terminal: int, seconds: float) -> bool:
    """Shows what the program has written; False if it has ended."""
    if select.select([terminal], [], [], seconds)[0]:
        try:
            content = os.read(terminal, 65536)
        except OSError:  # how Linux reports it
            return False
        stream.feed(content)
        return bool(content)
    return True


def _texts(screen: Any) -> list[Text]:
    rows = []
    for number in range(screen.lines):
        line = screen.buffer[number]
        cells = [line[column] for column in range(screen.columns)]
        row = Text()
        for style, same in groupby(cells, key=_style):
            row.append("".join(cell.data for cell in same), style)
        row.rstrip()
        rows.append(row)
    while rows and not rows[-1].plain:
        rows.pop()
    return rows


def _style(cell: Any) -> Style:
    return Style(color=_colour(cell.fg), bgcolor=_colour(cell.bg), bold=cell.bold, reverse=cell.reverse)


def _colour(name: str) -> str | None:
    """The colour's name in Rich."""
    if name == "default":
        return None
    bright = name.removeprefix("bright")
    if bright in BASIC:
        return f"color({BASIC.index(bright) + (8 if bright != name else 0)})"
    return f"#{name}"


if __name__ == "__main__":
    main(program)
