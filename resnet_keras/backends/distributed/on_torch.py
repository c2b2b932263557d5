"""PyTorch: processes that `torchrun` starts, one for each device, over NCCL or Gloo.

Keras's `fit` on a model inside `DistributedDataParallel` silently does not synchronise. Here the gradients of all
processes are averaged as soon as PyTorch has computed them, in buckets like those of that class, while the rest of the
backward pass continues.

Upstream lacks: `keras.distribution` on PyTorch.
Delete when: Keras has it there, and `tests/backends/test_processes.py` passes with it.
"""

import atexit
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import keras
import numpy as np
import torch
import torch.distributed as group

from resnet_keras.backends.distributed.engine import START_SECONDS, Engine
from resnet_keras.errors import InputOutput, InvalidValue, first_line
from resnet_keras.spec.distribution import Distribution

BUCKET = 25 * 2**20
"""Bytes of gradients that travel together, as in `DistributedDataParallel`."""


class TorchEngine(Engine):
    """One of the processes of a group. Arguments as for `Engine`."""

    normalises = "over the part of each process"
    apart = True
    failures = (RuntimeError, group.DistError)

    def __init__(self, where: Distribution, *, synchronized: bool = False) -> None:
        super().__init__(where, synchronized=synchronized)
        on_gpu = torch.cuda.is_available() and os.environ.get("KERAS_TORCH_DEVICE", "cuda").startswith("cuda")
        if on_gpu:
            number, there = int(os.environ.get("LOCAL_RANK", where.rank)), torch.cuda.device_count()
            if number >= there:
                raise InvalidValue(
                    f"Each process needs its own GPU. Received: {number + 1} or more processes for {there} GPUs."
                )
            torch.cuda.set_device(number)
        self.name = "torch.distributed over NCCL" if on_gpu else "torch.distributed over Gloo"
        address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        try:
            patience = timedelta(seconds=START_SECONDS)
            store, rank, size = next(group.rendezvous("env://", where.rank, where.processes, timeout=patience))
            store.set_timeout(patience)
            # `torchrun` restarts processes with the same store, which still holds the addresses of the dead ones.
            store = group.PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
            group.init_process_group(
                "cpu:gloo,cuda:nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=size
            )
            self.total(np.zeros(1, np.float32))
        except (RuntimeError, ValueError) as error:
            raise InputOutput(
                f"All {where.processes} processes join the coordinator at MASTER_ADDR:MASTER_PORT within "
                f"{START_SECONDS} seconds. Received: rank {where.rank} at {address} ({first_line(error)[:200]})."
            ) from error
        atexit.register(group.destroy_process_group)

    def moments(self, images: Any) -> tuple[Any, Any]:
        """As `Engine.moments`; axes are batch, channels, rows, columns.

        PyTorch's own `SyncBatchNorm` runs on GPUs only.
        """
        images = images.float()
        mean = _Mean.apply(images.mean((0, 2, 3)), self)
        return mean, _Mean.apply((images - mean.view(1, -1, 1, 1)).square().mean((0, 2, 3)), self)

    def mean(self, tensor: Any) -> Any:
        """The mean of the tensors of all processes."""
        total = tensor.clone()
        with self.watched():
            group.all_reduce(total)
        return total / self.where.processes

    def attach(self, model: keras.Model) -> None:
        """As `Engine.attach`."""
        _Gradients([variable.value for variable in model.trainable_variables], self)

    def later(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """As `Engine.later`."""
        tensor = torch.from_numpy(np.array(array))
        work = group.all_reduce(tensor, async_op=True)

        def wait() -> np.ndarray:
            work.wait()
            return tensor.numpy()

        return wait


class _Mean(torch.autograd.Function):
    """Averages over all processes, forward and backward: each one's loss is the mean over its own images."""

    @staticmethod
    def forward(context: Any, tensor: Any, engine: TorchEngine) -> Any:
        context.engine = engine
        return engine.mean(tensor)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        return context.engine.mean(gradient), None


class _Gradients:
    """Averages gradients over all processes, as the backward pass computes them."""

    def __init__(self, parameters: list[Any], engine: TorchEngine) -> None:
        self._engine = engine
        self._count = len(parameters)
        self._computed_now: set[int] = set()
        self._bucket: list[Any] = []
        self._bytes = 0
        self._sent: list[tuple[list[Any], Any, Any]] = []
        for parameter in parameters:
            parameter.register_post_accumulate_grad_hook(self._computed)

    def _computed(self, parameter: Any) -> None:
        if id(parameter) in self._computed_now:  # else averages would silently fall out of step
            raise InvalidValue(
                "Each backward pass computes a gradient for every trained variable. Received: one without."
            )
        self._computed_now.add(id(parameter))
        self._bucket.append(parameter.grad)
        self._bytes += parameter.grad.nbytes
        done = len(self._computed_now) == self._count
        if self._bytes >= BUCKET or done:
            self._send()
        if done:
            self._computed_now.clear()
            self._receive()

    def _send(self) -> None:
        flat = torch.cat([gradient.reshape(-1) for gradient in self._bucket])
        with self._engine.watched():
            self._sent.append((self._bucket, flat, group.all_reduce(flat, async_op=True)))
        self._bucket, self._bytes = [], 0

    def _receive(self) -> None:
        for gradients, flat, work in self._sent:
            with self._engine.watched():
                work.wait()
            flat /= self._engine.where.processes
            for gradient, mean in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
                gradient.copy_(mean.view(gradient.shape))
        self._sent = []
