"""The progress bar of everything that takes long: shown in a terminal, absent from a log file."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

SPEED_WINDOW = 30.0
"""Seconds that the time left is estimated from."""


def progress_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """A bar with its description, count and time left, and what else is to be seen of a task.

    Args:
        console: where it goes; nothing is drawn where that is no terminal.
        columns: between the count and the time left.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        speed_estimate_period=SPEED_WINDOW,
    )


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours, minutes and seconds: 4:05, 1:04:05."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
