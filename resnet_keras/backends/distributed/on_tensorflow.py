"""TensorFlow: `tf.distribute.MirroredStrategy` over the devices of one process.

Upstream lacks: Keras's `fit` in `MultiWorkerMirroredStrategy`, which fails for every input (keras#20585), and its
`evaluate` of a batch that devices do not divide; `np.array` of a mirrored variable of one number; one moving mean for
all devices, which Keras's layers leave to each.
Delete `measure` when: Keras evaluates such a batch. Delete `_as_array` when: `np.array` of a mirrored scalar is one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.distribute import values

from resnet_keras.backends.distributed.engine import Engine
from resnet_keras.data.dataset import Batch, Batches
from resnet_keras.errors import InvalidValue
from resnet_keras.spec.distribution import Distribution


class TensorFlowEngine(Engine):
    """The devices of this process.

    Args:
        where: this process, which is alone.
        devices: of it; None is one.
        synchronized: as of `Engine`.
    """

    name = "tf.distribute.MirroredStrategy"
    normalises = "over the part of each device"
    apart = True

    def __init__(self, where: Distribution, devices: int | None, *, synchronized: bool = False) -> None:
        if where.processes > 1:
            raise InvalidValue(
                "On TensorFlow one process computes a run, as Keras's fit fails in MultiWorkerMirroredStrategy. "
                f"Received: TF_CONFIG with {where.processes} workers. Use --devices, or JAX or PyTorch."
            )
        count = devices or 1
        super().__init__(replace(where, devices=count), synchronized=synchronized)
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
        values.DistributedVariable.__array__ = _as_array
        self._measure: dict[int, Callable[..., Any]] = {}

    def scope(self) -> Any:
        """As `Engine.scope`."""
        return self._strategy.scope()

    def moving(self, variable: keras.Variable) -> np.ndarray:
        """As `Engine.moving`."""
        return np.mean([one.numpy() for one in variable.value.values], axis=0)

    def moments(self, images: Any) -> tuple[Any, Any]:
        """As `Engine.moments`; batch, rows, columns, channels."""
        return keras.ops.moments(tf.cast(images, tf.float32), axes=(0, 1, 2), synchronized=True)

    def measure(
        self, model: keras.Model, batches: Batches, asked: Callable[[], bool], keras_way: Callable[[], object]
    ) -> list[np.ndarray]:
        """As `Engine.measure`."""
        count = self.where.devices
        if batches.images < count:
            raise InvalidValue(
                f"Each device measures an image or more. Received: {batches.images} for {count} devices."
            )
        if id(model) not in self._measure:
            self._measure[id(model)] = tf.function(
                lambda x, y: self._strategy.run(model.test_step, args=((x, y),)), reduce_retracing=True
            )
        model.reset_metrics()
        for batch in _none_below(batches, count):
            self._measure[id(model)](*(self._spread(array) for array in batch))
            if asked():
                break
        return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.metrics_variables]

    def _spread(self, array: np.ndarray) -> Any:
        parts = np.array_split(array, self.where.devices)
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(parts[context.replica_id_in_sync_group])
        )


def _none_below(batches: Iterable[Batch], least: int) -> Iterator[Batch]:
    """The batches; a last one of fewer than `least` images is added to the one before."""
    held: Batch | None = None
    for x, y in batches:
        if held is not None and len(x) < least:
            x, y = np.concatenate([held[0], x]), np.concatenate([held[1], y])
        elif held is not None:
            yield held
        held = x, y
    if held is not None:
        yield held


def _as_array(variable: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    return np.array(variable.numpy(), dtype)
