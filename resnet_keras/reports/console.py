"""The console of every program: a user's text is shown as it is."""

import sys
import textwrap
from typing import TextIO

from rich.console import Console
from rich.style import StyleType

from resnet_keras.errors import readable


def plain_console(file: TextIO | None = None) -> Console:
    """A console that takes no text for markup, emoji or something to colour: a path may hold `[bold]` or `:smile:`.

    Args:
        file: where it writes; None is standard output, as it is when the console is made.
    """
    return Console(file=file or sys.stdout, markup=False, emoji=False, highlight=False)


def say(console: Console, *lines: str, style: StyleType | None = None) -> None:
    """Prints lines of text: all that programs say but tables and bars.

    A terminal breaks a line between words, and a path not at all; a file has each line as one.

    Args:
        console: which may be the caller's own, so nothing is left to its defaults.
        lines: with names of the user's in them.
        style: of Rich.
    """
    for line in lines:
        text = readable(line)
        if console.is_terminal:
            # Rich would break a long path, or with `overflow="ignore"` no line at all.
            text = textwrap.fill(text, console.width, break_long_words=False, break_on_hyphens=False)
        console.print(text, style=style, markup=False, emoji=False, highlight=False, soft_wrap=True)
