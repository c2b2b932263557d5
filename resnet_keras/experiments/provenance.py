"""What `run.json` records of where a run happens: hardware, versions, command, commit."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras

from resnet_keras.backends import device, distribution
from resnet_keras.backends.device import compile_mode
from resnet_keras.data.threads import available_cores

PACKAGES = ("keras", "numpy", "tensorflow", "jax", "torch", "tensorflow-datasets")


def describe(model: keras.Model) -> dict[str, Any]:
    """The machine's part of `run.json`.

    Args:
        model: the model to train; its layers decide how the backend compiles it.
    """
    return {
        "backend": keras.backend.backend(),
        "device": device.name(),
        "compiled": compile_mode(model),
        **_distribution(),
        "hardware": {
            "processor": _processor(),
            "cores": available_cores(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {"python": platform.python_version()} | _versions(),
        "command": shlex.join([f"KERAS_BACKEND={keras.backend.backend()}", "python", *sys.argv]),
        "commit": _commit(),
    }


def _distribution() -> dict[str, Any]:
    """The part about processes and devices, where there are several."""
    engine = distribution.current()
    where = engine.where
    if where.kind == "single":
        return {}
    said = {"engine": engine.name, "processes": where.processes, "devices": where.devices}
    return {"distribution": said | {"batch_normalization": engine.normalisation}}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of the checkout this package runs from, with "+" where files have changed; None elsewhere."""
    here = Path(__file__).parents[1]
    try:
        # An installed copy may lie inside another project's checkout.
        _git(here, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(here, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
