"""Draw `train` beside `fit` and a native loop, one panel per net, from the results of `training.py`.

    python benchmarks/bars.py results/performance/resnet-*.json --out docs/images/speed

A file gives a result for each backend; results in a precision other than --precision are left out, and for each net
and backend the last file counts.
"""

import json
from collections.abc import Sequence
from typing import get_args

from growth import COLOURS, NAMES
from setting import Backend, Setting

from resnet_keras.errors import InvalidValue
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path

SHOWN = {"native loop": "native loop", "train": "resnet_keras", "fit": "Keras's fit"}
"""Contenders, from left to right, and their names in the figure."""
SHADES = {"native loop": 0.35, "train": 1.0, "fit": 0.6}


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    parser.add_argument("files", nargs="+", type=file_path, metavar="FILE", help="JSON files from training.py")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"), help="(default: float32)")
    parser.add_argument(
        "--out", type=file_path, required=True, metavar="FILE", help="write the figure here, as .png and .svg"
    )
    options = parser.parse(arguments)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from resnet_keras.plotting import style

    medians: dict[tuple[str, int, int], dict[str, dict[str, float]]] = {}
    for one in (one for path in options.files for one in json.loads(path.read_text(encoding="utf-8"))):
        told = one["setting"]
        if set(SHOWN) <= set(one.get("median", ())) and told["precision"] == options.precision:
            net = Setting(told["backend"], told["net"], image_size=told["image_size"]).architecture
            medians.setdefault((net.name, told["batch_size"], net.image_size), {})[told["backend"]] = one["median"]
    if not medians:
        raise InvalidValue(f"At least one result has {', '.join(SHOWN)} in {options.precision}. Received: none.")
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(2.3 * len(medians) + 0.6, 3.2), layout="constrained")
        panels = figure.subplots(1, len(medians), squeeze=False)[0]
        for (name, batch, side), panel in zip(sorted(medians, key=_order), panels, strict=True):
            of = medians[name, batch, side]
            backends = [backend for backend in get_args(Backend) if backend in of]
            for place, contender in enumerate(SHOWN):
                panel.bar(
                    [x + 0.27 * (place - 1) for x in range(len(backends))],
                    [of[one][contender] for one in backends],
                    width=0.25,
                    color=[(COLOURS[one], SHADES[contender]) for one in backends],
                    edgecolor=[COLOURS[one] for one in backends],
                )
            panel.set_xticks(range(len(backends)), [NAMES[one] for one in backends], fontsize=7)
            panel.set_title(f"{name}\n{batch} images of {side} pixels", fontsize=8)
            panel.set_axisbelow(True)
            panel.grid(axis="x", visible=False)
        figure.axes[0].set_ylabel("images per second")
        figure.supxlabel("of each backend, from the left: " + ", ".join(SHOWN.values()), fontsize=8)
    style.save(figure, options.out)


def _order(panel: tuple[str, int, int]) -> tuple[int, int]:
    name, _, side = panel
    return side, int(name.rpartition("-")[2])


if __name__ == "__main__":
    main(program)
