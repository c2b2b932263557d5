"""TensorFlow: `tf.distribute.MirroredStrategy` over the devices of one process.

Upstream lacks: Keras's `fit` in `MultiWorkerMirroredStrategy`, which fails for every input (keras#20585).
"""

from dataclasses import replace
from typing import Any

import tensorflow as tf

from resnet_keras.backends.distributed.engine import Engine
from resnet_keras.errors import InvalidValue
from resnet_keras.spec.distribution import Distribution


class TensorFlowEngine(Engine):
    """The devices of this process.

    Args:
        where: this process, which is alone.
        devices: of it; None is one.
    """

    name = "tf.distribute.MirroredStrategy"
    normalises = "over the part of each device"

    def __init__(self, where: Distribution, devices: int | None) -> None:
        if where.processes > 1:
            raise InvalidValue(
                "On TensorFlow one process computes a run, as Keras's fit fails in MultiWorkerMirroredStrategy. "
                f"Received: TF_CONFIG with {where.processes} workers. Use --devices, or JAX or PyTorch."
            )
        count = devices or 1
        super().__init__(replace(where, devices=count))
        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        there = len(tf.config.list_physical_devices(kind))
        if kind == "CPU":  # to try it: cores are parts of one device until they are told apart
            tf.config.set_logical_device_configuration(
                tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * count
            )
            there = count
        if count > there:
            raise InvalidValue(f"A process computes on devices that it has. Received: --devices {count} of {there}.")
        self._strategy: Any = tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(count)])

    def scope(self) -> Any:
        """As `Engine.scope`."""
        return self._strategy.scope()
