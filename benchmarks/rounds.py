"""Measure one setting in this process: all contenders take turns, round by round. Started by `training.py`.

KERAS_BACKEND=torch python benchmarks/rounds.py SETTING    with a `Setting` as JSON; prints JSON
"""

import json
import os
import sys
import time
from contextlib import redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import contenders
import ours
from contenders import Contender
from setting import Name, Setting

from resnet_keras.experiments import provenance
from resnet_keras.spec.records import Row

NATIVE = ("flax", "optax")
"""Packages of native loops that `provenance.describe` does not list."""
LEAST_STEPS = 3
"""Least number of updates; the first is not timed."""


def steps_for(contender: Contender, setting: Setting) -> int:
    """Number of updates that take about the time in the setting; compiles on the way."""
    contender.run(1)
    start, steps = time.perf_counter(), 0
    while steps < 2 or time.perf_counter() - start < setting.seconds / 10:
        contender.run(1)
        steps += 1
    return max(LEAST_STEPS, round(setting.seconds * steps / (time.perf_counter() - start)))


def measure(setting: Setting) -> dict[str, Any]:
    """Images per second of every contender in every round, and what they were measured on."""
    data = setting.data()
    rates: dict[Name, list[float]] = {name: [] for name in ("train", *setting.beside)}
    others = [contenders.make(name, setting, data) for name in setting.beside]
    steps = {contender.name: steps_for(contender, setting) for contender in others}
    period = steps[setting.beside[0]]

    def take_turns(row: Row) -> None:
        if row.iteration <= period:
            return  # includes compilation
        rates["train"].append(row.images_per_second)
        for contender in others:
            rates[contender.name].append(contender.images_per_second(steps[contender.name], setting.batch_size))
        latest = "  ".join(f"{name} {values[-1]:.3g}" for name, values in rates.items())
        print(f"  round {len(rates['train'])}, images/s: {latest}", file=sys.stderr, flush=True)

    ours.train_in_periods(setting, data, period=period, periods=setting.rounds + 1, after=take_turns)
    here = provenance.describe(ours.our_model(setting, data))
    versions = here["versions"] | {package: version(package) for package in NATIVE if find_spec(package)}
    return {"images_per_second": rates, "steps": steps, "versions": versions, "load": os.getloadavg()[0]} | {
        field: here[field] for field in ("device", "compiled", "hardware", "commit")
    }


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):  # what frameworks print is not JSON
        said = measure(Setting.from_json(sys.argv[1]))
    print(json.dumps(said))
