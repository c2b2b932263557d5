"""TensorFlow: `tf.distribute.MirroredStrategy` over the devices of one process, and processes with a device each, whose
gradients `MultiWorkerMirroredStrategy` adds.

Upstream lacks: Keras's `fit` in `MultiWorkerMirroredStrategy`, which fails for every input (keras#20585), so each
process has its own variables of a net; Keras's `evaluate` of a batch that the devices do not divide evenly; `np.array`
of a mirrored scalar variable; one moving mean for all devices, which Keras's layers leave to each.
Delete `measure` when: Keras evaluates such a batch. Delete `_as_array` when: `np.array` of a mirrored scalar is one.
Delete `TensorFlowWorkers` when: Keras fits in that strategy.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.distribute import values

from resnet_keras.backends.distributed.engine import START_SECONDS, Engine
from resnet_keras.backends.distributed.launching import free_ports
from resnet_keras.backends.distributed.meeting import meet
from resnet_keras.data.dataset import Batch, Batches
from resnet_keras.errors import InputOutput, InvalidValue, first_line
from resnet_keras.spec.distribution import Distribution, workers

SILENCE_SECONDS = 50
"""Seconds after which TensorFlow considers a silent process lost, where no connection reports it earlier."""
PARTING_SECONDS = 10
"""Seconds that processes wait for each other at the end."""


class TensorFlowDevices(Engine):
    """The devices of this process.

    Args:
        where: the place of this process, the only one.
        devices: number of its devices; None is one.
        synchronized: as for `Engine`.
    """

    name = "tf.distribute.MirroredStrategy"
    normalises = "over the part of each device"
    apart = True

    def __init__(self, where: Distribution, devices: int | None, *, synchronized: bool = False) -> None:
        count = devices or 1
        super().__init__(replace(where, devices=count), synchronized=synchronized)
        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        there = len(tf.config.list_physical_devices(kind))
        if kind == "CPU":  # for trying it out: the cores are one device until they are split
            tf.config.set_logical_device_configuration(
                tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * count
            )
            there = count
        if count > there:
            raise InvalidValue(
                f"A process can only use the devices it has. Received: --devices {count}, with {there} available."
            )
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
        """As `Engine.moments`; axes are batch, rows, columns, channels."""
        return keras.ops.moments(tf.cast(images, tf.float32), axes=(0, 1, 2), synchronized=True)

    def measure(
        self, model: keras.Model, batches: Batches, asked: Callable[[], bool], keras_way: Callable[[], object]
    ) -> list[np.ndarray]:
        """As `Engine.measure`."""
        count = self.where.devices
        if batches.images < count:
            raise InvalidValue(
                f"Each device evaluates at least one image. Received: {batches.images} for {count} devices."
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


class TensorFlowWorkers(Engine):
    """One of the processes that TF_CONFIG names. Arguments as for `Engine`."""

    name = "tf.distribute.MultiWorkerMirroredStrategy"
    normalises = "over the part of each process"
    apart = True
    failures = (tf.errors.OpError,)

    def __init__(self, where: Distribution, *, synchronized: bool = False) -> None:
        super().__init__(where, synchronized=synchronized)
        if (there := len(tf.config.get_visible_devices("GPU"))) > 1:
            raise InvalidValue(
                f"Each process uses one device. Received: {there} visible GPUs. "
                "Make only one visible: CUDA_VISIBLE_DEVICES=0."
            )
        addresses = workers(os.environ["TF_CONFIG"])
        meet(addresses[0], where, START_SECONDS)
        options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=SILENCE_SECONDS)
        try:
            self._strategy: Any = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
            door = self.total(np.array(free_ports(1) if where.leads else [0], np.int32))
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            raise InputOutput(
                f"All {where.processes} processes in TF_CONFIG connect to each other. Received: rank {where.rank} at "
                f"{addresses[where.rank]} ({first_line(error)[:200]})."
            ) from error
        self._parting = f"{addresses[0].rpartition(':')[0]}:{door[0]}"
        atexit.register(self.part)

    def part(self) -> None:
        """As `Engine.part`: a sum can be complete here before another process has its last piece from here."""
        with suppress(InputOutput):
            meet(self._parting, self.where, PARTING_SECONDS)

    def stepping(self) -> Any:
        """As `Engine.stepping`."""
        return self.watched()

    def is_loss(self, error: Exception) -> bool:
        """As `Engine.is_loss`; a device out of memory does not count."""
        return super().is_loss(error) and not isinstance(error, tf.errors.ResourceExhaustedError)

    def said(self, error: Exception) -> str:
        """As `Engine.said`: the error's type, as its text is that of a graph."""
        return type(error).__name__

    def later(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """As `Engine.later`, but at once: TensorFlow's collectives do not overlap."""
        kind = np.int32 if array.dtype == np.uint8 else array.dtype  # its collectives do not take bytes
        total = self._strategy.reduce("SUM", tf.constant(array.astype(kind)), axis=None).numpy().astype(array.dtype)
        return lambda: total

    def attach(self, model: keras.Model) -> None:
        """As `Engine.attach`."""
        apply = model.optimizer.apply

        def averaged(gradients: Sequence[Any], variables: Any = None) -> None:
            apply(self._means(gradients), variables)

        model.optimizer.apply = averaged

    def moments(self, images: Any) -> tuple[Any, Any]:
        """As `Engine.moments`; axes are batch, rows, columns, channels."""
        images = tf.cast(images, tf.float32)
        mean = self._mean(tf.reduce_mean(images, (0, 1, 2)))
        return mean, self._mean(tf.reduce_mean(tf.square(images - mean), (0, 1, 2)))

    def _mean(self, tensor: Any) -> Any:
        """Averages over all processes, forward and backward: each one's loss is the mean over its own images."""

        def mean(tensor: Any) -> Any:
            return self._means([tensor])[0], lambda gradient: self._means([gradient])[0]

        return tf.custom_gradient(mean)(tensor)

    def _means(self, tensors: Sequence[Any]) -> list[Any]:
        def inside(*tensors: Any) -> list[Any]:
            with tf.device(self._strategy.extended.worker_devices[0]):  # where they are added, which decides how
                here = [tf.identity(tensor) for tensor in tensors]
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, here)

        return list(self._strategy.run(inside, args=tuple(tensors)))


def _none_below(batches: Iterable[Batch], least: int) -> Iterator[Batch]:
    """The batches; a last one of fewer than `least` images is appended to the one before."""
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
