"""Where a run happens: backend, device, compile mode, versions, as the header shows and `run.json` keeps them."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras

PACKAGES = ("keras", "numpy", "tensorflow", "jax", "torch", "tensorflow-datasets")


def describe(model: keras.Model) -> dict[str, Any]:
    """The machine's part of `run.json`.

    Args:
        model: what will be trained; its layers decide how the backend compiles it.
    """
    return {
        "backend": keras.backend.backend(),
        "device": device(),
        "compiled": compile_mode(model),
        "hardware": {
            "processor": _processor(),
            "cores": _cores(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {"python": platform.python_version()} | _versions(),
        "command": shlex.join([f"KERAS_BACKEND={keras.backend.backend()}", "python", *sys.argv]),
        "commit": _commit(),
    }


def device() -> str:
    """Where Keras puts weights and computes, in the backend's own words: "cpu", "NVIDIA ..."."""
    weight = keras.ops.zeros(())
    match keras.backend.backend():
        case "jax":
            return str(next(iter(weight.devices())).device_kind)
        case "torch":
            import torch

            return torch.cuda.get_device_name(weight.device) if weight.device.type == "cuda" else weight.device.type
        case "tensorflow":
            import tensorflow

            gpus = tensorflow.config.list_physical_devices("GPU")
            details = tensorflow.config.experimental.get_device_details(gpus[0]) if gpus else {}
            return str(details.get("device_name", "gpu")) if gpus else "cpu"
        case other:
            return str(other)


def compile_mode(model: keras.Model) -> str:
    """How the backend runs a training step of this model."""
    if model.run_eagerly:
        return "eager"
    compiled = {"jax": "XLA", "tensorflow": "graph and XLA", "torch": "torch.compile"}
    plain = {"jax": "op by op", "tensorflow": "graph", "torch": "eager"}
    return (compiled if model.jit_compile else plain)[keras.backend.backend()]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of the checkout this package runs from, with "+" where files were changed; None elsewhere."""
    here = Path(__file__).parent
    try:
        # An installed copy may lie inside another project's checkout.
        _git(here, "ls-files", "--error-unmatch", Path(__file__).name)
        commit = _git(here, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
