"""The progress bar of every long task: shown in a terminal, absent from a log file."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

SPEED_WINDOW = 30.0
"""Seconds of progress from which the time left is estimated."""


def progress_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """A bar with a task's description, count and time left, and further columns.

    Args:
        console: where it is drawn; nothing is drawn if that is not a terminal.
        columns: the columns between the count and the time left.
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
