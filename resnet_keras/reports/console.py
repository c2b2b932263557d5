"""The console of every program: a user's text is shown as it is."""

import sys
import textwrap
from typing import TextIO

from rich.console import Console
from rich.style import StyleType

from resnet_keras.errors import readable


def plain_console(file: TextIO | None = None) -> Console:
    """A console that never takes text for markup or emoji, nor colours it: a path may contain `[bold]` or `:smile:`.

    Args:
        file: where it writes; None is standard output at the time the console is made.
    """
    return Console(file=file or sys.stdout, markup=False, emoji=False, highlight=False)


def say(console: Console, *lines: str, style: StyleType | None = None) -> None:
    """Prints lines of text: all output of the programs except tables and progress bars.

    In a terminal, a line breaks only between words, so a path never does; in a file, each line stays in one piece.

    Args:
        console: may be the caller's own, so nothing is left to its defaults.
        lines: text that may contain the user's own names.
        style: a Rich style.
    """
    for line in lines:
        text = readable(line)
        if console.is_terminal:
            # Rich would break a long path, or with `overflow="ignore"` no line at all.
            text = textwrap.fill(text, console.width, break_long_words=False, break_on_hyphens=False)
        console.print(text, style=style, markup=False, emoji=False, highlight=False, soft_wrap=True)
