"""Processes that wait for each other: all come, one is missing, one expects another number; a port that is taken."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from resnet_keras.backends.distributed.launching import free_ports
from resnet_keras.backends.distributed.meeting import meet
from resnet_keras.errors import InputOutput
from resnet_keras.spec.distribution import Distribution

pytestmark = pytest.mark.any_backend


def outcomes(places, patience=1.0):
    """What each process says; threads stand in for the processes."""
    (port,) = free_ports(1)

    def come(place):
        try:
            meet(f"127.0.0.1:{port}", place, patience)
        except InputOutput as error:
            return str(error)
        return "met"

    with ThreadPoolExecutor(len(places)) as threads:
        said = list(threads.map(come, places))
    assert "\n" not in "".join(said)
    return said


def test_all_come():
    assert outcomes([Distribution(rank, 3) for rank in (2, 0, 1)], 20.0) == ["met"] * 3


def test_those_that_do_not_come_are_named():
    begun = time.monotonic()
    first, second = outcomes([Distribution(0, 4), Distribution(2, 4)])
    assert "all but rank 1, 3." in first
    assert "rank 2, which got no answer" in second
    assert time.monotonic() - begun < 10


def test_one_that_knows_another_number_of_processes_is_named():
    first, second = outcomes([Distribution(0, 2), Distribution(1, 3)], 20.0)
    assert "Received: rank 1 of 3." in first
    assert "rank 1, which got no answer" in second


def test_nobody_is_at_the_address():
    (said,) = outcomes([Distribution(1, 2)])
    assert "rank 1, which got no answer" in said


def test_a_port_that_is_taken():
    with socket.create_server(("0.0.0.0", 0)) as taken, pytest.raises(InputOutput, match="in use"):
        meet(f"127.0.0.1:{taken.getsockname()[1]}", Distribution(0, 2), 1.0)


@pytest.mark.parametrize("address", ["nowhere", "host:", "host:port", "host:99999"])
def test_an_address_without_a_port(address):
    with pytest.raises(InputOutput, match=r"host:port\. Received: "):
        meet(address, Distribution(1, 2), 1.0)
