"""The console of every program: a user's text is shown as it is."""

import sys
from typing import TextIO

from rich.console import Console


def plain_console(file: TextIO | None = None) -> Console:
    """A console that takes no text for markup, emoji or something to colour: a path may hold `[bold]` or `:smile:`.

    Args:
        file: where it writes; None is standard output, as it is when the console is made.
    """
    return Console(file=file or sys.stdout, markup=False, emoji=False, highlight=False)
