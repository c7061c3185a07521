import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
pytest.register_assert_rewrite("machine")
from lab.host import Host  # noqa: E402
from containerd import Containerd  # noqa: E402
from machine import CLIENTS, SUBNET, VIP, Machine  # noqa: E402
from podman import Podman  # noqa: E402


@pytest.fixture(scope="session")
def machine():
    """This machine as a node with one network, on which a pod holds the VIP and answers."""
    host = Host([{"name": "vpn", "vni": 7950, "mtu": 1400, "subnet": SUBNET, "vip": VIP,
                  "leases": [{"role": "client", "range": CLIENTS}]}])
    made = Machine(host)
    try:
        host.start()
        made.start()
        yield made
    finally:
        made.stop()
        host.stop()


@pytest.fixture(scope="session")
def podman(machine):
    return Podman(machine)


@pytest.fixture(scope="session")
def containerd(machine):
    made = Containerd()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def nothing_left(machine):
    """Whatever a test did, its end leaves no trace of a container on the node."""
    machine.forget_calls()
    yield
    try:
        machine.assert_nothing_left()
    finally:
        machine.forget_networks()
        machine.detach_all()
