"""A meeting of all processes at an address, before JAX's or TensorFlow's own service takes it over.

Upstream lacks: an error where a process does not appear: `jax.distributed.initialize` ends the process with a C++ stack
trace, and TensorFlow's strategy has no timeout that could be set.
Delete when: both raise one for a coordinator that is not running.
"""

import socket
import time
from contextlib import ExitStack, suppress

from resnet_keras.errors import InputOutput
from resnet_keras.spec.distribution import Distribution

COME, GO = b"%d of %d\n", b"go\n"


def meet(address: str, where: Distribution, patience: float) -> None:
    """Returns once all processes are there.

    Args:
        address: "host:port" of the first process.
        where: the place of this process.
        patience: seconds to wait.

    Raises:
        OSError: some do not appear or expect another number of processes, or the port is taken; in one line.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InputOutput(f"The coordinator's address has the form host:port. Received: {address}.")
    latest = time.monotonic() + patience
    if where.leads:
        _wait_for_others(address, int(port), where, latest)
    else:
        _come(address, (host, int(port)), where, latest)


def _wait_for_others(address: str, port: int, where: Distribution, latest: float) -> None:
    missing = set(range(1, where.processes))
    with ExitStack() as stack:
        try:
            family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
            door = stack.enter_context(
                socket.create_server(("", port), family=family, dualstack_ipv6=family == socket.AF_INET6)
            )
        except OSError as error:
            raise InputOutput(
                f"The first process listens on the coordinator's port. Received: {address} ({error.strerror})."
            ) from None
        come = []
        while missing:
            try:
                door.settimeout(max(0.01, latest - time.monotonic()))
                other = stack.enter_context(door.accept()[0])
                other.settimeout(max(0.01, latest - time.monotonic()))
                rank, processes = map(int, other.makefile("rb").readline(64).split(b" of "))
            except ValueError:
                continue  # a stranger
            except OSError:
                if time.monotonic() < latest:
                    continue
                raise InputOutput(
                    f"All {where.processes} processes join the coordinator at {address}. Received: all but rank "
                    f"{', '.join(map(str, sorted(missing)))}."
                ) from None
            if processes != where.processes or rank not in missing:
                raise InputOutput(
                    f"All {where.processes} processes join the coordinator at {address}, each exactly once. "
                    f"Received: rank {rank} of {processes}."
                )
            missing.remove(rank)
            come.append(other)
        for other in come:
            other.sendall(GO)


def _come(address: str, place: tuple[str, int], where: Distribution, latest: float) -> None:
    while (left := latest - time.monotonic()) > 0:
        with suppress(OSError), socket.create_connection(place, timeout=left) as first:
            first.sendall(COME % (where.rank, where.processes))
            first.settimeout(max(0.01, latest - time.monotonic()))
            if first.makefile("rb").readline(8) == GO:
                return
            break  # the first process has given up
        time.sleep(0.1)
    raise InputOutput(
        f"All {where.processes} processes join the coordinator at {address}. "
        f"Received: rank {where.rank}, which got no answer."
    )
