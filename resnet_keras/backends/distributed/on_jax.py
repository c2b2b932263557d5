"""JAX: `keras.distribution.DataParallel` over the devices of one process or of all.

A batch is one array spread over all devices, and a step is one program: gradients, metrics and the statistics of batch
normalisation are those of the whole batch without any code here. Each process measures errors on its own devices, as
the processes' shares of the images need not be equal.

Upstream lacks: `evaluate` with a last batch that the devices do not divide evenly.
Delete `measure` when: Keras takes one.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import jax
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from resnet_keras.backends.distributed.engine import START_SECONDS, Engine
from resnet_keras.backends.distributed.meeting import meet
from resnet_keras.data.dataset import Batches
from resnet_keras.errors import InputOutput, InvalidValue, first_line
from resnet_keras.spec.distribution import Distribution

HEARTBEAT_SECONDS = 20
"""Seconds after which JAX considers a silent process lost, where no connection reports it earlier."""

LOSSES = tuple(f"{status}: " for status in ("UNKNOWN", "UNAVAILABLE", "INTERNAL", "ABORTED", "CANCELLED"))
"""Prefixes of a ValueError that carries an XLA status; Gloo's status for a connection that was reset is UNKNOWN."""


class JaxEngine(Engine):
    """The devices of this process, and of any others.

    Args:
        where: the place of this process among all.
        devices: number used by each process; None is all.
    """

    name = "keras.distribution.DataParallel"
    failures = (jax.errors.JaxRuntimeError, ValueError)

    def __init__(self, where: Distribution, devices: int | None) -> None:
        if where.processes > 1:
            _meet(where)
        here = jax.local_devices()
        if devices is not None and devices > len(here):
            raise InvalidValue(
                f"A process can only use the devices it has. Received: --devices {devices}, with {len(here)} available."
            )
        count = devices or len(here)
        super().__init__(replace(where, devices=count))
        of_process: dict[int, list[Any]] = {rank: [] for rank in range(where.processes)}
        for one in jax.devices():
            of_process[one.process_index].append(one)
        used = [one for rank in sorted(of_process) for one in of_process[rank][:count]]
        if len(used) != self.where.parts:
            raise InvalidValue(
                f"Each of the {where.processes} processes has {count} devices. Received: {len(used)} in total."
            )
        self._here = [one for one in used if one.process_index == jax.process_index()]
        names = [f"{one.platform}:{one.id}" for one in used]
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)  # each feeds its own rows
        )
        firsts = np.array([of_process[rank][0] for rank in sorted(of_process)])
        self._each = NamedSharding(Mesh(firsts, "process"), PartitionSpec("process"))
        self._sum = jax.jit(
            lambda rows: rows.sum(axis=0, dtype=rows.dtype),
            out_shardings=NamedSharding(self._each.mesh, PartitionSpec()),
        )
        self._measure: dict[int, Callable[..., Any]] = {}
        self.total(np.zeros(1, np.float32))  # connects the processes, which XLA's Gloo reports

    @contextmanager
    def alone(self) -> Iterator[None]:
        """As `Engine.alone`: saving creates variables, and those of a distribution are created by all processes."""
        held = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(held)

    def stepping(self) -> Any:
        """As `Engine.stepping`."""
        return self.watched()

    def is_loss(self, error: Exception) -> bool:
        """As `Engine.is_loss`."""
        return super().is_loss(error) and tells_of_loss(error)

    def later(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """As `Engine.later`."""
        total = self._sum(jax.make_array_from_process_local_data(self._each, array[None]))
        return lambda: np.asarray(total)

    def measure(
        self, model: keras.Model, batches: Batches, asked: Callable[[], bool], keras_way: Callable[[], object]
    ) -> list[np.ndarray]:
        """As `Engine.measure`."""
        mesh = Mesh(np.array(self._here), "batch")
        split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("batch",), ()))
        if id(model) not in self._measure:
            self._measure[id(model)] = jax.jit(lambda state, x, y: model.test_step(state, (x, y))[1])
        step = self._measure[id(model)]
        parts = (model.trainable_variables, model.non_trainable_variables, model.metrics_variables)
        model.reset_metrics()
        state = tuple([jax.device_put(np.asarray(one.value), whole) for one in part] for part in parts)
        for x, y in batches:
            lies = split if len(x) % len(self._here) == 0 else whole
            state = step(state, jax.device_put(x, lies), jax.device_put(y, lies))
            if asked():
                break
        return [np.asarray(value) for value in state[2]]


def tells_of_loss(error: Exception) -> bool:
    """Whether XLA says that another process is gone; its place in the program decides which of these two types it is.

    A device out of memory does not count, nor does a value that Python rejected.
    """
    if isinstance(error, jax.errors.JaxRuntimeError):
        return "RESOURCE_EXHAUSTED" not in str(error)
    return str(error).startswith(LOSSES)


def _meet(where: Distribution) -> None:
    """Meets the other processes, at the address in Keras's environment variable or as JAX finds them."""
    addresses = os.environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES")
    known: dict[str, Any] = {}
    if addresses:
        known = {
            "coordinator_address": addresses.split(",")[0],
            "num_processes": where.processes,
            "process_id": where.rank,
        }
        meet(known["coordinator_address"], where, START_SECONDS)
    try:
        jax.distributed.initialize(
            **known, initialization_timeout=START_SECONDS, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
        )
    except (RuntimeError, ValueError) as error:
        raise InputOutput(
            f"All {where.processes} processes join the coordinator within {START_SECONDS} seconds. Received: rank "
            f"{where.rank} at {addresses or 'the address that JAX found'} ({first_line(error)[:200]})."
        ) from error
