"""Draw Figure 1, 4 or 6 of the paper from run folders, without training anything.

python recipes/figures.py runs/degradation
python recipes/figures.py runs --figure 1 --axis paper --out figure1
"""

from collections.abc import Sequence
from pathlib import Path

from resnet_keras import plotting
from resnet_keras.errors import InputOutput
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.runs import reading

FIGURES = {"1": plotting.figure_1, "4": plotting.figure_4, "6": plotting.figure_6}


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    parser.add_argument(
        "folders", type=file_path, nargs="+", metavar="FOLDER", help="run folders, or folders that hold them"
    )
    parser.add_argument("--figure", choices=FIGURES, default="6", help="number of the figure in the paper (default: 6)")
    parser.add_argument(
        "--axis",
        choices=("fitted", "paper"),
        default="fitted",
        help="paper: 0 to 20 %%, 20 to 60 in Figure 4 (default: fitted)",
    )
    parser.add_argument(
        "--out", type=file_path, metavar="FILE", help="without suffix; .png and .svg are written (default: figure-<n>)"
    )
    options = parser.parse(arguments)
    found = [run for folder in options.folders for run in reading.find(folder)]
    if not found:
        raise InputOutput(f"A figure is drawn from run folders. None in: {', '.join(map(str, options.folders))}.")
    path = options.out or Path(f"figure-{options.figure}")
    for written in plotting.save(FIGURES[options.figure](found, axis=options.axis), path):
        print(written)


if __name__ == "__main__":
    main(program)
