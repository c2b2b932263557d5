"""Several processes or devices that compute one run, by the backend's own engine: `start` once, then `current`.

PyTorch     torch.distributed, one process for each device
JAX         keras.distribution.DataParallel over the devices of all processes
TensorFlow  tf.distribute, MirroredStrategy over the devices of one process and MultiWorkerMirroredStrategy between many
"""

import pickle
from collections.abc import Callable
from typing import TypeVar, cast

import keras
import numpy as np

from resnet_keras.backends.distributed.engine import Engine
from resnet_keras.errors import InvalidValue
from resnet_keras.spec.distribution import Distribution

Result = TypeVar("Result")

_engine = Engine(Distribution())


def current() -> Engine:
    """The engine of this process."""
    return _engine


def start(where: Distribution, devices: int | None = None, *, synchronized: bool = False) -> Engine:
    """Meets the other processes, before anything is computed.

    Args:
        where: the place of this process, as `spec.distribution.launched` found it.
        devices: number this process computes on; None is one, or the engine's choice where there are other processes.
        synchronized: whether batch normalisation takes the statistics of the whole batch, as it always does on JAX.

    Raises:
        OSError: the other processes do not appear.
        ValueError: more devices are asked for than there are.
    """
    global _engine
    if where.processes == 1 and devices in (None, 1):
        return _engine
    backend = keras.backend.backend()
    if devices not in (None, 1) and (backend == "torch" or (backend == "tensorflow" and where.processes > 1)):
        raise InvalidValue(f"Each process uses one device. Received: --devices {devices}. Use --processes.")
    if backend == "torch":
        from resnet_keras.backends.distributed.on_torch import TorchEngine

        _engine = TorchEngine(where, synchronized=synchronized)
    elif backend == "jax":
        from resnet_keras.backends.distributed.on_jax import JaxEngine

        _engine = JaxEngine(where, devices)
    elif where.processes > 1:
        from resnet_keras.backends.distributed.on_tensorflow import TensorFlowWorkers

        _engine = TensorFlowWorkers(where, synchronized=synchronized)
    else:
        from resnet_keras.backends.distributed.on_tensorflow import TensorFlowDevices

        _engine = TensorFlowDevices(where, devices, synchronized=synchronized)
    return _engine


def refuse_synchronized(name: str) -> None:
    """Refuses a layer or net that has no synchronised form.

    Raises:
        ValueError: a synchronised one was asked for.
    """
    if current().synchronized:
        raise InvalidValue(
            "Only batch normalisation over channels, with scale and shift, can be synchronised. "
            f"Received: {name!r}. Leave out --sync-batch-norm."
        )


def shared(work: Callable[[], Result]) -> Result:
    """Does the work in the process of rank 0 alone, and returns its result in all processes.

    Raises:
        SystemExit: in the other processes, where the work raised an error; with the same exit code.
    """
    engine = current()
    if engine.where.processes == 1:
        return work()
    found: Result | None = None
    if not engine.where.leads:
        failed, found = pickle.loads(_broadcast(b""))  # from a process of the same run
        if failed is not None:
            raise SystemExit(failed)
        return cast(Result, found)
    try:
        found = work()
    except BaseException as error:
        _broadcast(pickle.dumps((getattr(error, "exit_code", 1), None)))
        raise
    _broadcast(pickle.dumps((None, found)))
    return found


def _broadcast(data: bytes) -> bytes:
    """The bytes of rank 0; all other processes pass none."""
    engine = current()
    length = int.from_bytes(engine.total(np.frombuffer(len(data).to_bytes(8, "big"), np.uint8)).tobytes(), "big")
    sent = np.frombuffer(data, np.uint8) if engine.where.leads else np.zeros(length, np.uint8)
    return engine.total(sent).tobytes()
