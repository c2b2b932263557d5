"""Runs as `reading` returns them, for the tests of figures and tables."""

import json
from pathlib import Path

from resnet_keras import cifar10, cifar10_recipe
from resnet_keras.runs.reading import Results, Row, Run

ITERATIONS = (100, 200, 300)


def a_run(depth, shortcut="A", seed=0, *, offset=0.0, generated=False, size=32, iterations=64_000):
    rows = tuple(Row(i, 0.1, 60 + offset - i / 10, 65 + offset - i / 10, 1.0, 1.0, 100.0, 1.0) for i in ITERATIONS)
    settings = {
        "architecture": cifar10(depth, shortcut).to_dict(),
        "recipe": json.loads(json.dumps(cifar10_recipe(depth).rescaled(iterations).to_dict())),
        "data": {
            "name": "generated patterns" if generated else "CIFAR-10",
            "image_size": size,
            "generated": generated,
            "fingerprint": "generated" if generated else "530f1121731a72cd" if size == 32 else "smaller",
        },
        "seed": seed,
        "backend": "jax",
    }
    return Run(Path("x"), settings, rows, Results(30, 35, 36))
