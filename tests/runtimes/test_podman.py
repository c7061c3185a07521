"""podman drives the plugin."""
import concurrent.futures

import pytest

from machine import VIP, bridge, byway, kill_process, mac_of, wait_for


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0"])
def test_podman_container_on_the_network(machine, podman, version):
    machine.write_network("vpn", [byway()], version)
    container = podman.start("vpn:interface_name=net1")
    address, role, state, owner, ifname, _ = machine.leases()[0]
    assert (role, state, owner, ifname) == ("client", "active", container, "net1")
    assert machine.ports() == {f"byway {container}/net1"}
    network = podman.inspect(container)["NetworkSettings"]["Networks"]["vpn"]
    assert network["IPAddress"] == address and network["IPPrefixLen"] == 24
    assert network["MacAddress"] == mac_of(address)
    assert podman.ask(container, "wget", "-qO-", f"http://{VIP}/") == address
    podman.remove(container)
    calls = machine.calls()
    assert calls[0] == "VERSION 0"
    assert [call for call in calls if call != "VERSION 0"] == ["ADD 0", "DEL 0"]


def test_podman_beside_a_primary_network(machine, podman):
    machine.write_network("primary", [bridge()])
    machine.write_network("vpn", [byway()])
    container = podman.start("primary:interface_name=eth0", "vpn:interface_name=net1")
    assert podman.ask(container, "wget", "-qO-", f"http://{VIP}/") == machine.leases()[0][0]
    assert "dev net1" in podman.ask(container, "ip", "route", "get", "198.51.100.1")
    assert "dev eth0" in podman.ask(container, "ip", "route", "get", "10.1.2.3")
    podman.remove(container)


def test_podman_first_of_a_chain(machine, podman):
    """tuning changes what byway made, and is given byway's result."""
    tuning = {"type": "tuning", "mtu": 1300, "sysctl": {"net.ipv4.conf.net1.log_martians": "1"}}
    machine.write_network("vpn", [byway(), tuning])
    container = podman.start("vpn:interface_name=net1")
    assert "mtu 1300" in podman.ask(container, "ip", "link", "show", "net1")
    assert podman.ask(container, "cat", "/proc/sys/net/ipv4/conf/net1/log_martians") == "1\n"
    assert podman.ask(container, "wget", "-qO-", f"http://{VIP}/") == machine.leases()[0][0]
    podman.remove(container)


def test_podman_killed_container(machine, podman):
    machine.write_network("vpn", [byway()])
    container = podman.start("vpn")
    kill_process(podman.inspect(container)["State"]["Pid"])
    wait_for(lambda: podman.inspect(container)["State"]["Status"] == "exited", "podman notices")
    podman.remove(container)
    assert machine.calls().count("ADD 0") == 1 and "DEL 0" in machine.calls()


def test_podman_killed_container_and_monitor(machine, podman):
    """Nobody is left who would clean up by itself: the removal has all to do."""
    machine.write_network("vpn", [byway()])
    container = podman.start("vpn")
    state = podman.inspect(container)["State"]
    kill_process(state["ConmonPid"])
    kill_process(state["Pid"])
    podman.remove(container)
    assert "DEL 0" in machine.calls()


def test_podman_many_containers_at_once(machine, podman):
    machine.write_network("vpn", [byway()])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        containers = list(pool.map(lambda _: podman.start("vpn"), range(5)))
    assert len({lease[0] for lease in machine.leases()}) == 5
    podman("rm", "--force", "--time", "0", *containers)


def test_podman_container_that_ends_by_itself(machine, podman):
    machine.write_network("vpn", [byway()])
    container = podman.start("vpn", command=("wget", "-qO-", f"http://{VIP}/"))
    podman("wait", container)
    wait_for(lambda: "DEL 0" in machine.calls(), "DEL at the container's end")
    machine.assert_nothing_left()
    podman.remove(container)
