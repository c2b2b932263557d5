"""Measure one point of `growth.py` in this process: images per second of `train`, and peak memory.

KERAS_BACKEND=torch python benchmarks/point.py SETTING PERIODS    the first a `Setting` as JSON; prints JSON
"""

import json
import sys
import time
from contextlib import redirect_stdout
from typing import Any

import ours
import startup
from setting import Setting

UPDATES = 4
"""Updates in a period; the first period is not counted."""


def measure(setting: Setting, periods: int) -> dict[str, Any]:
    """Images per second of each period but the first, seconds to the first update, and peak memory in bytes."""
    data, rates, first = setting.data(), [], []
    begun = time.perf_counter()
    with ours.called_after_first_step(lambda: first.append(time.perf_counter() - begun)):
        ours.train_in_periods(
            setting, data, period=UPDATES, periods=periods, after=lambda row: rates.append(row.images_per_second)
        )
    measured = {
        "images_per_second": rates[1:],
        "first_update_seconds": first[0],
        "peak_bytes": startup.peak_bytes(),
        "device_peak_bytes": startup.device_peak_bytes(setting.backend),
    }
    # Imported here, after the memory was read.
    from resnet_keras import build, cifar10
    from resnet_keras.experiments import provenance

    here = provenance.describe(build(cifar10(8)))  # any net will do: this describes the machine
    return measured | {field: here[field] for field in ("versions", "device", "hardware", "commit")}


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):  # what frameworks print is not JSON
        said = measure(Setting.from_json(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(said))
