"""Measure time from process start to the end of the first update, and peak memory. Started by `training.py`.

KERAS_BACKEND=torch python benchmarks/startup.py train SETTING START    the last in seconds, as `time.time()`
"""

import json
import sys
import time
from contextlib import redirect_stdout, suppress
from typing import Any

from contenders import make
from setting import Backend, Name, Setting

STEPS = 5
"""Updates made before the memory is read."""


def measure(name: Name, setting: Setting, start: float) -> dict[str, Any]:
    """Seconds to the first step, and peak memory in bytes, of one contender."""
    data = setting.data(small=True)
    seconds: list[float] = []
    if name == "train":
        import ours  # and with it Keras, which a native loop does without

        with ours.called_after_first_step(lambda: seconds.append(time.time() - start)):
            ours.train_in_periods(setting, data, period=STEPS, periods=1, after=lambda row: None)
    else:
        contender = make(name, setting, data)
        contender.run(1)
        seconds.append(time.time() - start)
        contender.run(STEPS - 1)
    return {
        "first_step_seconds": seconds[0],
        "peak_bytes": peak_bytes(),
        "device_peak_bytes": device_peak_bytes(setting.backend),
    }


def peak_bytes() -> int | None:
    """Peak memory of this process; None if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def device_peak_bytes(backend: Backend) -> int | None:
    """Peak memory of arrays on a GPU; None without one."""
    match backend:
        case "torch":
            import torch

            return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
        case "jax":
            import jax

            return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
        case "tensorflow":
            import tensorflow as tf

            with suppress(ValueError):  # no such device
                return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return None


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):  # what frameworks print is not JSON
        said = measure(sys.argv[1], Setting.from_json(sys.argv[2]), float(sys.argv[3]))  # type: ignore[arg-type]
    print(json.dumps(said))
