"""containerd drives the plugin: by `ctr run --cni`, and as a kubelet makes it do."""
import pytest

from machine import VIP, byway, kill_process, run, wait_for


# --- ctr ---

@pytest.mark.parametrize("version", ["0.4.0", "1.0.0"])
def test_ctr_container_on_the_network(machine, containerd, version):
    machine.write_network("vpn", [byway()], version)
    out, err = containerd.run("alone", "wget", "-qO-", f"http://{VIP}/").communicate(timeout=30)
    assert out.startswith("192.168.50."), err
    assert machine.calls() == ["ADD 0", "DEL 0"]


def test_ctr_in_a_chain(machine, containerd):
    """loopback is before byway, so that there is a previous result, and tuning comes after it."""
    machine.write_network("vpn", [{"type": "loopback"}, byway(), {"type": "tuning", "mtu": 1300}])
    process = containerd.run("chain", "sh", "-c", f"ip link show eth0 && wget -qO- http://{VIP}/")
    out, err = process.communicate(timeout=30)
    assert "mtu 1300" in out and "\n192.168.50." in out, err


def start_killable(machine, containerd):
    machine.write_network("vpn", [byway()])
    process = containerd.run("killed", "sleep", "300")
    wait_for(lambda: containerd.pid("killed"), "a container")
    assert [lease[2:5] for lease in machine.leases()] == [("active", "default-killed", "eth0")]
    assert machine.ports() == {"byway default-killed/eth0"}
    return process


def test_ctr_killed_container(machine, containerd):
    process = start_killable(machine, containerd)
    kill_process(containerd.pid("killed"))
    process.communicate(timeout=30)
    assert process.returncode == 137
    assert machine.calls() == ["ADD 0", "DEL 0"]


def test_ctr_killed_runtime(machine, containerd):
    """With ctr dies who would have called DEL: the address comes back without it."""
    process = start_killable(machine, containerd)
    process.kill()
    process.communicate(timeout=30)
    kill_process(containerd.pid("killed"))
    wait_for(lambda: not machine.leases(), "the address taken back")
    containerd.ctr("tasks", "delete", "killed")
    containerd.ctr("containers", "delete", "killed")
    assert machine.calls() == ["ADD 0"]


# --- a kubelet ---

def run_pod(machine, containerd, uid, attempt=0):
    """(sandbox, address). containerd has read the configuration when it takes the pod."""
    before = len(machine.calls())
    sandbox = containerd.kubelet.run("pod", uid, attempt)
    assert machine.calls()[before:] == ["ADD 0"]
    ready, address = containerd.kubelet.status(sandbox)
    assert ready
    return sandbox, address


@pytest.fixture
def network(machine, containerd):
    machine.write_network("vpn", [byway()])
    wait_for(containerd.kubelet.network_ready, "containerd reads the network's configuration")


def test_kubelet_pod(machine, containerd, network):
    sandbox, address = run_pod(machine, containerd, "uid-1")
    assert machine.leases() == [(address, "client", "active", sandbox, "eth0", "uid-1")]
    pid = containerd.pid(sandbox, "k8s.io")
    assert run("nsenter", f"--net=/proc/{pid}/ns/net", "busybox", "wget", "-qO-", f"http://{VIP}/").stdout == address
    containerd.kubelet.stop(sandbox)
    assert machine.leases() == []
    containerd.kubelet.remove(sandbox)
    # containerd says DEL again for a sandbox that has none left, with and without a namespace.
    assert set(machine.calls()[1:]) == {"DEL 0"} and len(machine.calls()) > 2


def test_kubelet_pod_keeps_its_address(machine, containerd, network):
    """A sandbox that was killed: the kubelet makes another one for the same pod."""
    first, address = run_pod(machine, containerd, "uid-2")
    kill_process(containerd.pid(first, "k8s.io"))
    wait_for(lambda: not containerd.kubelet.status(first)[0], "containerd notices")
    containerd.kubelet.stop(first)
    other, other_address = run_pod(machine, containerd, "uid-3")
    second, again = run_pod(machine, containerd, "uid-2", attempt=1)
    assert again == address != other_address
    for sandbox in (first, other, second):
        containerd.kubelet.stop(sandbox)
        containerd.kubelet.remove(sandbox)
