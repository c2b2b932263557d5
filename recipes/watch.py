"""Watch runs while they train: their curves in the terminal, redrawn as rows are added, or in a PNG.

    python recipes/watch.py runs/ResNet-20-seed0
    python recipes/watch.py runs/figure-6 --once
    python recipes/watch.py runs/figure-6 --out now.png

Reads run folders and writes none. Ends when all runs are finished; it cannot tell that an interrupted run will not be
resumed, so end it with Ctrl-C then.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live

from resnet_keras.errors import InputOutput, InvalidValue
from resnet_keras.plotting import from_runs
from resnet_keras.plotting.curves import on_photographs
from resnet_keras.plotting.terminal import terminal_curves
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs.reading import Run

LEAST_HEIGHT = 8


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__, computes=False)
    add = parser.add_argument
    add("folders", type=file_path, nargs="+", metavar="RUN", help="run folders, or folders containing them")
    add("--once", action="store_true", help="show the curves as they are now and exit")
    add("--out", type=file_path, metavar="FILE", help="draw Figure 4 or 6 to this file instead of the terminal")
    add("--every", type=float, default=5.0, metavar="SECONDS", help="time between redraws (default: 5)")
    options = parser.parse(arguments)
    if not 0.1 <= options.every <= 86_400:
        raise InvalidValue(f"Redraws are 0.1 to 86,400 seconds apart. Received: --every {options.every:g}.")
    console = plain_console()
    seen: list[tuple[int, bool]] | None = None
    found: list[Run] = []
    with Live(console=console, auto_refresh=False) as live:
        while True:
            try:
                found = from_runs.find(options.folders)[0]
            except InputOutput:  # between the writes of two files as a run ends
                if not found:
                    raise
            if not found and seen is None:
                raise InputOutput(
                    f"Only run folders are watched. None found in: {', '.join(map(str, options.folders))}."
                )
            now = [(len(run.rows), run.results is not None) for run in found]
            if now != seen:
                _draw(found, options.out, console, live)
                seen = now
            if options.once or all(finished for _, finished in now):
                return
            time.sleep(options.every)


def _draw(runs: list[Run], out: Path | None, console: Console, live: Live) -> None:
    if out is not None:
        kinds = {on_photographs(run) for run in runs}
        numbers: list[from_runs.Number] = [*(["4"] if True in kinds else []), *(["6"] if False in kinds else [])]
        drawn = list(from_runs.draw_all(runs, numbers=numbers))
        say(plain_console(sys.stderr), *(line for line in drawn if isinstance(line, str)))
        drawings = [one for one in drawn if not isinstance(one, str)]
        for number, drawing in enumerate(drawings, start=1):
            written = drawing.save(out if number == 1 else out.with_name(f"{out.stem}-{number}"))
            console.print(written[0], soft_wrap=True)
        return
    height = max(LEAST_HEIGHT, min(24, console.height - len(runs) - 4))
    picture = terminal_curves(runs, width=console.width, height=height)
    if console.is_terminal:
        live.update(picture, refresh=True)
    else:
        console.print(picture)


if __name__ == "__main__":
    main(program)
