"""byway-node on two nodes: frames pass, restarts interrupt nothing, drift is repaired, nothing foreign is
touched, a bad configuration changes nothing."""
import json
import os
import signal
import socket
import subprocess

import pytest
from nodes import BUILD, answered, wait_for


def test_frames_of_the_full_mtu_pass(pair):
    pair.join()
    assert answered(pair.a.ask("192.168.50.2", size=1372, count=20)) == 20
    assert answered(pair.a.ask("192.168.50.2", size=1373, count=1)) == 0


def test_devices_are_as_wanted(pair):
    pair.a.start()
    links = pair.a.links()
    for network, vni, mtu in (("vpn", 7950, 1400), ("sync", 7951, 1450)):
        bridge, vxlan = links[f"br-{network}"], links[f"vx-{network}"]
        assert bridge["mtu"] == vxlan["mtu"] == mtu
        assert "UP" in bridge["flags"] and "UP" in vxlan["flags"]
        assert bridge["linkinfo"]["info_data"]["stp_state"] == 0
        assert bridge["linkinfo"]["info_data"]["mcast_snooping"] == 0
        data = vxlan["linkinfo"]["info_data"]
        assert (data["id"], data["port"], data["local"]) == (vni, 14789, "172.20.0.11")
        assert data["learning"] is True
        assert vxlan["master"] == f"br-{network}"
    # The UDP socket is on the underlay, not in the namespace that has the device.
    assert ":14789" in pair.a("ss", "-Huln").stdout
    assert ":14789" not in pair.a("ip", "netns", "exec", "byway", "ss", "-Huln").stdout
    # Nothing else talks into the overlay.
    assert "inet6" not in pair.a("ip", "-n", "byway", "addr", "show", "dev", "br-vpn").stdout


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_restart_interrupts_nothing(pair, sig):
    pair.join()
    before = pair.a.indexes()
    client = pair.a.ask("192.168.50.2", size=1372, count=300, gap=0.01)
    status = pair.a.stop(sig)
    assert status == (0 if sig == signal.SIGTERM else -signal.SIGKILL)
    assert pair.a.indexes() == before
    pair.a.start()
    assert answered(client) == 300
    assert pair.a.indexes() == before
    assert pair.a.status()["reconcile"]["changes"] == 0


def test_drift_is_repaired(pair):
    pair.join()
    pair.a("ip", "-n", "byway", "link", "set", "vx-vpn", "nomaster", "down")
    wait_for(lambda: pair.a.links()["vx-vpn"].get("master") == "br-vpn" and pair.a.ready(),
             "the port is back")
    assert answered(pair.a.ask("192.168.50.2")) == 5
    pair.a("ip", "-n", "byway", "link", "del", "br-vpn")
    wait_for(lambda: "br-vpn" in pair.a.links() and pair.a.ready(), "the bridge is back")
    assert pair.a.links()["vx-vpn"]["master"] == "br-vpn"
    assert "172.20.0.12" in pair.a("bridge", "-n", "byway", "fdb", "show", "dev", "vx-vpn").stdout


def test_readiness_tells_the_truth(pair):
    pair.a.start()
    os.kill(pair.a.agent.pid, signal.SIGSTOP)  # so that the question is there before the repair
    question = socket.socket(socket.AF_UNIX)
    question.settimeout(20)
    question.connect(f"/proc/{pair.a.holder.pid}/root/run/byway/node.sock")
    question.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
    pair.a("ip", "-n", "byway", "link", "set", "vx-sync", "down")
    os.kill(pair.a.agent.pid, signal.SIGCONT)
    answer = b"".join(iter(lambda: question.recv(4096), b""))
    assert b" 503 " in answer and b"network sync: vx-sync is down\n" in answer
    wait_for(pair.a.ready, "ready again")


def test_foreign_objects_are_left_alone(pair):
    pair.a.start()
    pair.a("ip", "-n", "byway", "link", "add", "theirs", "type", "bridge")
    pair.a("ip", "-n", "byway", "addr", "add", "10.0.0.1/24", "dev", "br-vpn")
    pair.a("ip", "-n", "byway", "route", "add", "10.9.0.0/16", "dev", "br-vpn")
    pair.a.stop()
    pair.a.start()
    assert "theirs" in pair.a.links()
    assert "10.0.0.1/24" in pair.a("ip", "-n", "byway", "addr", "show", "dev", "br-vpn").stdout
    assert "10.9.0.0/16" in pair.a("ip", "-n", "byway", "route").stdout


def test_foreign_device_of_our_name_is_told(pair):
    pair.a.start()
    pair.a.stop()
    pair.a("ip", "-n", "byway", "link", "del", "br-sync")
    pair.a("ip", "-n", "byway", "link", "add", "br-sync", "mtu", "1300", "type", "bridge")
    pair.a.agent = subprocess.Popen(
        pair.a.enter(str(BUILD / "byway-node"), "--config", str(pair.a.config)), stderr=pair.a.log)
    wait_for(lambda: pair.a.get("status")[0] == 200, "status")
    status, why = pair.a.get("readyz")
    assert status == 503 and "br-sync" in why
    assert "in the way: link br-sync kind bridge" in pair.a.status()["reconcile"]["lastError"]
    assert pair.a.links()["br-sync"]["mtu"] == 1300
    assert "master" not in pair.a.links()["vx-sync"]


def test_reload(pair):
    pair.join()
    before = pair.a.indexes()
    nodes = [{"name": "node-a", "address": "172.20.0.11"}, {"name": "node-b", "address": "172.20.0.12"},
             {"name": "node-c", "address": "172.20.0.13"}]
    pair.a.write(nodes=nodes)
    pair.a.agent.send_signal(signal.SIGHUP)
    wait_for(lambda: "172.20.0.13" in pair.a("bridge", "-n", "byway", "fdb", "show", "dev",
                                             "vx-vpn").stdout, "the new peer")
    assert pair.a.indexes() == before
    pair.a.write(nodes=nodes, vni=1)
    pair.a.agent.send_signal(signal.SIGHUP)
    wait_for(lambda: "vni: unknown key" in pair.a.text(), "the refusal")
    assert len(pair.a.status()["nodes"]) == 3
    assert answered(pair.a.ask("192.168.50.2")) == 5


def test_removed_network_goes_and_ports_stay(pair):
    pair.join()
    config = json.loads(pair.a.config.read_text())
    pair.a.write(networks=config["networks"][:1])
    pair.a.agent.send_signal(signal.SIGHUP)
    wait_for(lambda: "br-sync" not in pair.a.links(), "the end of br-sync")
    assert set(pair.a.links()) == {"lo", "br-vpn", "vx-vpn", "p0"}
    assert answered(pair.a.ask("192.168.50.2")) == 5


def test_network_wider_than_the_underlay_is_refused(pair):
    pair.a("ip", "link", "set", "under", "mtu", "1440")
    run = pair.a(str(BUILD / "byway-node"), "--config", str(pair.a.config), check=False)
    assert run.returncode == 2
    assert run.stderr == (f"{pair.a.config}:21: networks[0].mtu: 1400 is more than the 1390 bytes that "
                          "the underlay's MTU of 1440 leaves\n")
    assert pair.a("ls", "/run").stdout == ""


def test_once(pair):
    run = pair.a(str(BUILD / "byway-node"), "--once", "--config", str(pair.a.config))
    assert run.returncode == 0
    dry = pair.a(str(BUILD / "byway-node"), "--once", "--dry-run", "--config", str(pair.a.config))
    plan = dry.stdout[:dry.stdout.index("table bridge byway")]
    assert {line.split()[0] for line in plan.splitlines()} == {"keep"}


# --- leases without a pod ---

def test_address_of_a_pod_that_is_gone_is_taken_back(pair):
    pair.a.start()
    gone, stays = pair.a.pod("gone"), pair.a.pod("stays")
    assert pair.a.attach(gone, "c1") == "192.168.50.1/24"
    assert pair.a.attach(stays, "c2") == "192.168.50.2/24"
    pair.a("ip", "netns", "delete", "gone")
    wait_for(lambda: pair.a.leases() == {"c2": "active"}, "the end of the lease of c1")
    assert pair.a.text().count("address=192.168.50.1 container=c1 interface=net1") == 1
    assert pair.a.status()["reconcile"]["reclaimedLeases"] == 1
    assert "byway_node_leases_reclaimed_total 1\n" in pair.a.get("metrics")[1]
    assert 'byway_node_leases_used{network="vpn",role="client"} 1\n' in pair.a.get("metrics")[1]
    # Later looks change nothing more.
    passes = pair.a.status()["reconcile"]["passes"]
    pair.a.agent.send_signal(signal.SIGHUP)
    wait_for(lambda: pair.a.status()["reconcile"]["passes"] > passes, "another pass")
    assert pair.a.leases() == {"c2": "active"}
    assert pair.a.status()["reconcile"]["reclaimedLeases"] == 1


def test_namespace_that_a_process_keeps_alive_keeps_its_address(pair):
    pair.a.start()
    netns = pair.a.pod("kept")
    pair.a.attach(netns, "c1")
    pair.a.children.append(subprocess.Popen(pair.a.enter("ip", "netns", "exec", "kept", "sleep", "60")))
    wait_for(lambda: pair.a("ip", "netns", "pids", "kept").stdout.strip(), "a process in the pod")
    pair.a("ip", "netns", "delete", "kept")
    pair.a.agent.send_signal(signal.SIGHUP)
    wait_for(lambda: pair.a.status()["reconcile"]["passes"] > 1, "a pass")
    assert pair.a.leases() == {"c1": "active"}
    pair.a.children.pop().kill()
    wait_for(lambda: pair.a.leases() == {}, "the end of the lease")


def test_orphans_are_found_at_the_start(pair):
    pair.a.start()
    pair.a.attach(pair.a.pod("gone"), "c1")
    pair.a.stop(signal.SIGKILL)
    pair.a("ip", "netns", "delete", "gone")
    assert pair.a.leases() == {"c1": "active"}
    pair.a.start()
    wait_for(lambda: pair.a.leases() == {}, "the end of the lease")


def test_add_in_progress_is_left_alone(pair):
    """Reserved, no link yet: not touched while an ADD may be about to make it."""
    pair.a.start()
    for container, age in (("busy", "0"), ("slow", "50"), ("dead", "61")):
        pair.a(str(BUILD / "tests/lease_ensure"), "--take", "/run/byway/leases", "vpn", container,
               "net1", age)
    assert pair.a.leases() == {"busy": "pending", "slow": "pending", "dead": "pending"}
    pair.a.agent.send_signal(signal.SIGHUP)
    wait_for(lambda: pair.a.leases() == {"busy": "pending", "slow": "pending"}, "the end of the dead one")


def test_no_lease_outlives_run(pair):
    """After a reboot /run is new, and so are the namespaces: the table begins empty."""
    pair.a.start()
    pair.a.attach(pair.a.pod("pod"), "c1")
    pair.a.stop()
    pair.a("umount", "-R", "-l", "/run")
    wait_for(lambda: ":14789" not in pair.a("ss", "-Huln").stdout, "the end of the namespaces")
    pair.a("mount", "-t", "tmpfs", "none", "/run")
    pair.a.start()
    assert pair.a.leases() == {}
    assert pair.a.attach(pair.a.pod("pod"), "c2") == "192.168.50.1/24"
