"""Several processes on this machine, each running the same command: by `torchrun`'s agent on PyTorch, and by their
documented environment variables on JAX and TensorFlow, which have no launcher of their own.

Of the frameworks, only the agent is imported here.
"""

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from resnet_keras.errors import Damaged, Diverged, InputOutput, InvalidValue, Lost, Stopped

PATIENCE_S = 30.0
"""Seconds that processes have to save and exit once one is gone or a signal has arrived, as under `torchrun`."""
SAID = {kind.exit_code for kind in (InvalidValue, Diverged, InputOutput, Damaged)}
"""Exit codes of processes that have reported why they failed."""


def launch(backend: str, processes: int, arguments: Sequence[str]) -> int:
    """Runs a command in several processes until all have ended, or one has failed and the others have been stopped.

    Args:
        backend: Keras's name for the backend.
        processes: number of processes.
        arguments: command-line arguments for this Python.

    Returns:
        The exit code of all: 0, or that of a process that failed by itself and has reported why.

    Raises:
        OSError: a process was killed, or ended without reporting why; its rank is named.
    """
    codes = _torchrun(processes, arguments) if backend == "torch" else _spawn(backend, processes, arguments)
    failed = {rank: code for rank, code in codes.items() if code}
    if not failed:
        return 0
    # Processes that lost another one exit in an orderly way; a killed one does not.
    rank, code = min(failed.items(), key=lambda pair: (pair[1] > 0, pair[1] == InputOutput.exit_code, pair[0]))
    if code in SAID or code > 128:
        return code
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    raise Lost(
        f"A run of {processes} processes needs all of them. Received: rank {rank}, {how}. "
        "Run the same command again to resume from the last checkpoint."
    )


def _torchrun(processes: int, arguments: Sequence[str]) -> Mapping[int, int]:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the one-line error is ours
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=secrets.token_hex(8),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the command `torchrun` does
    try:
        elastic_launch(config, sys.executable)(*arguments)
    except ChildFailedError as error:
        return {rank: failure.exitcode for rank, failure in error.failures.items()}
    except SignalException as error:  # the agent has passed it on
        return {0: 128 + int(error.sigval)}
    return {}


def _spawn(backend: str, processes: int, arguments: Sequence[str]) -> Mapping[int, int]:
    ports = free_ports(processes)
    begun = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | variables_of(backend, rank, ports),
            start_new_session=True,  # a terminal's Ctrl-C reaches this process alone, which passes it on
        )
        for rank in range(processes)
    ]
    try:
        while all(one.poll() in (None, 0) for one in begun) and any(one.poll() is None for one in begun):
            time.sleep(0.1)
    except Stopped as stopped:
        _end(begun, stopped.exit_code - 128)
        return {0: stopped.exit_code}
    codes = {rank: code for rank, one in enumerate(begun) if (code := one.poll()) is not None}
    _end(begun, signal.SIGTERM)
    return codes


def _end(begun: Sequence["subprocess.Popen[bytes]"], signum: int) -> None:
    for one in begun:
        if one.poll() is None:
            one.send_signal(signum)
    latest = time.monotonic() + PATIENCE_S
    for one in begun:
        try:
            one.wait(max(0.1, latest - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()


def variables_of(backend: str, rank: int, ports: Sequence[int]) -> dict[str, str]:
    """The environment variables that tell a process which one of all it is.

    Args:
        backend: "jax" or "tensorflow".
        rank: rank of the process.
        ports: ports of this machine, one for each process.
    """
    addresses = [f"127.0.0.1:{port}" for port in ports]
    if backend == "jax":
        return {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": addresses[0],
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(len(ports)),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(rank),
            "JAX_LOCAL_DEVICE_IDS": str(rank),
        }
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
    return {"TF_CONFIG": json.dumps(config)}


def free_ports(count: int) -> list[int]:
    """Ports of this machine that were free a moment ago."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
