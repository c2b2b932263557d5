"""The processes and devices that compute a run, as the backend's own launcher gives them in the environment.

    PyTorch     torchrun: RANK, WORLD_SIZE
    TensorFlow  TF_CONFIG
    JAX         KERAS_DISTRIBUTION_PROCESS_ID and _NUM_PROCESSES, as `keras.distribution.initialize` reads them; srun,
                mpirun and Cloud TPU pods, as `jax.distributed.initialize` finds them

The recipe stays the same: its batch is the global one, and each device computes an equal part of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resnet_keras.errors import InvalidValue, shown

Kind = Literal["single", "local devices", "processes"]
MAX_PROCESSES = 4096
JAX_LAUNCHERS = (
    ("KERAS_DISTRIBUTION_PROCESS_ID", "KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_JOB_ADDRESSES"),
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NODELIST"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_MCA_orte_hnp_uri"),
)
"""The variables for the rank and the number of processes, and one that must also be set: a Slurm batch script is not
itself a step of several tasks."""


@dataclass(frozen=True)
class Distribution:
    """The place of this process among all those that compute a run.

    Attributes:
        rank: rank of this process; rank 0 leads, and it alone writes.
        processes: number of processes.
        devices: number of devices that each process computes on.
    """

    rank: int = 0
    processes: int = 1
    devices: int = 1

    def __post_init__(self) -> None:
        if not (1 <= self.processes <= MAX_PROCESSES and 0 <= self.rank < self.processes and self.devices >= 1):
            raise InvalidValue(
                f"A run has 1 to {MAX_PROCESSES:,} processes, ranked from 0, each with at least one device. "
                f"Received: rank={self.rank}, processes={self.processes}, devices={self.devices}."
            )

    @property
    def kind(self) -> Kind:
        """Which of the three kinds this is."""
        if self.processes > 1:
            return "processes"
        return "local devices" if self.devices > 1 else "single"

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder and reports to the user."""
        return self.rank == 0

    @property
    def parts(self) -> int:
        """Number of devices in all processes together."""
        return self.processes * self.devices

    def rows(self, batch_size: int) -> range:
        """The rows of a global batch that this process computes."""
        each = batch_size // self.processes
        return range(self.rank * each, (self.rank + 1) * each)

    def share(self, images: int) -> range:
        """The part of the images on which this process measures an error; the parts differ in size by at most one."""
        first, stop = (images * rank // self.processes for rank in (self.rank, self.rank + 1))
        return range(first, stop)

    def check(self, batch_size: int, accumulate: int = 1) -> None:
        """Checks that each device gets an equal part of a batch.

        Raises:
            ValueError: the batch does not divide equally.
        """
        unit = self.parts * accumulate
        if batch_size % unit:
            low = batch_size // unit * unit
            near = " or ".join(str(size) for size in (low, low + unit) if size)
            parts = f" in {accumulate} parts" if accumulate > 1 else ""
            raise InvalidValue(
                f"Each device computes an equal part of a batch. Received: a batch of {batch_size}{parts} "
                f"(processes: {self.processes}, devices per process: {self.devices}). Nearest: --batch-size {near}."
            )


def launched(backend: str, environment: Mapping[str, str]) -> Distribution:
    """The distribution that a launcher gave this process; a single process if there was no launcher.

    Args:
        backend: Keras's name of the backend.
        environment: environment variables of this process.

    Raises:
        ValueError: the variables contradict each other.
    """
    match backend:
        case "torch":
            return _numbered(environment, "RANK", "WORLD_SIZE")
        case "tensorflow":
            return _tf_config(environment["TF_CONFIG"]) if environment.get("TF_CONFIG") else Distribution()
        case _:
            for rank, processes, other in JAX_LAUNCHERS:
                if rank in environment and processes in environment and other in environment:
                    return _numbered(environment, rank, processes)
            return _tpu(environment)


def _numbered(environment: Mapping[str, str], rank: str, processes: str) -> Distribution:
    if rank not in environment or processes not in environment:
        return Distribution()
    try:
        return Distribution(int(environment[rank]), int(environment[processes]))
    except ValueError:
        raise InvalidValue(
            f"A launcher starts 1 to {MAX_PROCESSES:,} processes, numbered from 0. "
            f"Received: {rank}={environment[rank]}, {processes}={environment[processes]}."
        ) from None


def _tpu(environment: Mapping[str, str]) -> Distribution:
    hosts = environment.get("TPU_WORKER_HOSTNAMES", "").split(",")
    rank = environment.get("TPU_WORKER_ID", "")
    return Distribution(int(rank), len(hosts)) if len(hosts) > 1 and rank.isdecimal() else Distribution()


def _tf_config(text: str) -> Distribution:
    try:
        config: Any = json.loads(text)
        cluster, task = config.get("cluster") or {}, config.get("task") or {}
        counts = {kind: len(cluster.get(kind, ())) for kind in ("chief", "worker")}
        if not any(counts.values()):
            return Distribution()
        if task["type"] not in counts or set(cluster) - set(counts):
            raise ValueError("the task types are chief and worker")
        rank = int(task["index"]) + (counts["chief"] if task["type"] == "worker" else 0)
        return Distribution(rank, sum(counts.values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidValue(
            "TF_CONFIG lists the hosts of all workers and says which one this process is. "
            f"Received: {shown(text)} ({type(error).__name__}: {error})."
        ) from None


def workers(tf_config: str) -> list[str]:
    """Addresses of the processes in a TF_CONFIG that `launched` has accepted: "host:port" by rank."""
    cluster = json.loads(tf_config)["cluster"]
    return [*cluster.get("chief", ()), *cluster.get("worker", ())]
