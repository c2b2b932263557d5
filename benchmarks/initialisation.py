"""Compare initialisation by fan-in and by fan-out in the short experiment: a controlled run for deviations.md.

    KERAS_BACKEND=tensorflow python benchmarks/initialisation.py --seeds 0-2 --json initialisation.json

He et al. 2015 derive both, Eqn. (10) and (14), say that either will do, and use the second. The two differ in the first
convolution, where a net changes its width, and in the dense layer. Nets, images and schedule are those of
`recipes/degradation.py`; each folder in --out is an ordinary run, and a finished one is not trained again.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from resnet_keras.data.small import sources
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path, seed_list
from resnet_keras.programs.start import start_backend
from resnet_keras.reports import tables
from resnet_keras.reports.console import plain_console, say
from resnet_keras.runs import storage
from resnet_keras.spec.paper_nets import cifar10
from resnet_keras.spec.recipe import Fan
from resnet_keras.spec.short_experiment import DEPTHS, IMAGE_SIZE, SHORT


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("--data-dir", type=file_path, metavar="PATH", help="CIFAR-10 (default: where TensorFlow Datasets has it)")
    add("--iterations", type=int, default=SHORT.iterations, metavar="N", help=f"(default: {SHORT.iterations})")
    add("--seeds", type=seed_list, default=(0, 1, 2), metavar="LIST", help="(default: 0-2)")
    add("--out", type=file_path, default=Path("runs/initialisation"), help="(default: runs/initialisation)")
    add("--json", type=file_path, metavar="FILE", help="write the numbers to this file")
    options = parser.parse(arguments)
    console = plain_console()
    start_backend(console)
    from resnet_keras.experiments.run import run

    data = sources.load(options.data_dir, None).averaged_to(IMAGE_SIZE)
    recipe = SHORT.rescaled(options.iterations)
    nets = [
        cifar10(depth, shortcut, num_classes=data.num_classes, image_size=IMAGE_SIZE)
        for shortcut in (None, "A")
        for depth in DEPTHS
    ]
    rows: list[dict[str, Any]] = []
    for net in nets:
        for fan in get_args(Fan):
            one = replace(recipe, fan=fan)
            folders = {seed: options.out / fan / f"{net.name}-seed{seed}" for seed in options.seeds}
            runs = [run(net, one, data, seed=seed, out=out, console=console) for seed, out in folders.items()]
            here = {field: runs[0].settings[field] for field in ("commit", "versions", "device", "hardware")}
            rows.append({
                "net": net.name,
                "fan": fan,
                "seeds": list(options.seeds),
                "training_error": [round(found.rows[-1].train_error, 2) for found in runs],
                "validation_error": [round(found.rows[-1].validation_error, 2) for found in runs],
            } | here)  # fmt: skip
    for row in rows:
        said = (f"{name} {tables.mean(row[f'{name}_error'])} %" for name in ("training", "validation"))
        say(console, f"{row['net']:10} {row['fan']:8} {', '.join(said)}")
    if options.json:
        found = {"command": shlex.join(["python", *sys.argv]), "recipe": str(recipe), "rows": rows}
        storage.atomic_write(options.json, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main(program)
