"""ADD by role: what is in the pod afterwards, and what is not when it fails."""
import json
import os
import subprocess
import sys

import pytest

from node import BUILD, ISOLATION_SETS, SPLIT, VIP, run


def split_routes(pod):
    routes = pod.routes()
    return ([r for r in routes if r[0] == "unicast" and r[1] in SPLIT],
            [r for r in routes if r[0] == "unreachable"])


def test_client_gets_address_routes_and_link(node):
    pod = node.pod("a")
    result = node.add(pod, "c1")
    link = pod.links()["net1"]
    assert link["address"] == "02:bb:c0:a8:32:01"
    assert link["mtu"] == 1400
    assert link["num_tx_queues"] == link["num_rx_queues"] == 1
    assert "UP" in link["flags"]
    assert pod.addresses("net1") == ["192.168.50.1/24"]
    via, unreachable = split_routes(pod)
    assert via == [("unicast", dst, VIP, "net1", None) for dst in SPLIT]
    assert unreachable == []
    assert ("unreachable", "2000::/3", None, "lo", 4096) in pod.routes("-6")
    assert result == {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "net1", "mac": "02:bb:c0:a8:32:01", "sandbox": pod.path}],
        "ips": [{"interface": 0, "address": "192.168.50.1/24", "gateway": VIP}],
        "routes": [{"dst": dst, "gw": VIP} for dst in SPLIT],
        "dns": {},
    }


def test_port_is_named_up_and_on_its_bridge(node):
    node.add(node.pod("a"), "c1")
    port = node.ports()["byway c1/net1"]
    assert port["master"] == "br-vpn"
    assert port["mtu"] == 1400
    assert "UP" in port["flags"]
    assert len(port["ifname"]) == 13
    assert port["num_tx_queues"] == port["num_rx_queues"] == 1
    assert node.held("vpn") == [("192.168.50.1", "client", "active", "c1", "net1", "")]


def test_client_port_is_isolated_and_entered(node):
    node.add(node.pod("a"), "c1")
    port = node.ports()["byway c1/net1"]
    assert port["ifalias"] == "byway c1/net1 02:bb:c0:a8:32:01 192.168.50.1"
    assert port["group"] == "187"
    flags = port["linkinfo"]["info_slave_data"]
    assert flags["isolated"] is True
    assert flags["learning"] is flags["flood"] is flags["mcast_flood"] is False
    assert flags["bcast_flood"] is True
    fdb = json.loads(node.agent("bridge", "-j", "fdb", "show", "dev", port["ifname"]).stdout)
    assert [e["flags"] for e in fdb if e["mac"] == "02:bb:c0:a8:32:01"] == [["sticky"]]
    assert node.isolated() == {port["ifname"]: ["02:bb:c0:a8:32:01", "192.168.50.1"]}


@pytest.mark.parametrize("role,network", [("gateway", "vpn"), ("sync", "sync")])
def test_other_ports_are_not(node, role, network):
    node.add(node.pod("a"), "c1", node.conf(role, network=network))
    port = node.ports()["byway c1/net1"]
    assert port["ifalias"] == "byway c1/net1"
    assert port["group"] == "default"
    flags = port["linkinfo"]["info_slave_data"]
    assert flags["isolated"] is False and flags["learning"] is flags["flood"] is True
    assert node.isolated() == {}


def test_client_is_refused_where_nothing_would_isolate_it(node):
    pod = node.pod("a")
    for loss in ("set bridge byway addresses", "table bridge byway"):
        node.agent("nft", f"delete {loss}")
        details = refused(node, 11, 1, pod)
        assert "byway-node" in details and "table bridge byway" in details
        node.agent("nft", ISOLATION_SETS)
        assert_nothing_left(node, pod)


def test_frames_pass_between_pods(node):
    a, b = node.pod("a"), node.pod("b")
    node.add(a, "c1", node.conf("sync"))
    node.add(b, "c2", node.conf("sync"))
    serve = ("import socket; s = socket.create_server(('192.168.51.2', 4711)); print('up', flush=True);"
             "s.accept()[0].sendall(b'hello')")
    ask = ("import socket; s = socket.create_connection(('192.168.51.2', 4711), 5);"
           "print(s.recv(9).decode(), end='')")
    with subprocess.Popen(["nsenter", f"--net={b.path}", sys.executable, "-c", serve],
                          stdout=subprocess.PIPE) as server:
        assert server.stdout.readline() == b"up\n"
        assert a(sys.executable, "-c", ask).stdout == "hello"


def test_way_out_is_the_vip_and_the_intranet_stays(node):
    pod = node.pod("a")
    node.add(pod, "c1")
    assert pod.way_to("203.0.113.1") == "net1"
    assert pod.way_to("8.8.8.8") == "net1"
    assert pod.way_to("10.1.2.3") == "eth0"
    assert pod.way_to("192.168.50.240") == "net1"
    assert pod.way_to("2001:db8::1") is None
    assert pod.way_to("fd00::7") == "eth0"


@pytest.mark.parametrize("loss", [["link", "set", "net1", "down"], ["link", "delete", "net1"],
                                  ["addr", "flush", "dev", "net1"]])
def test_losing_the_interface_opens_no_way_out(node, loss):
    pod = node.pod("a")
    node.add(pod, "c1")
    pod("ip", *loss)
    for address in ("203.0.113.1", "1.1.1.1", "8.8.8.8", "2001:db8::1"):
        assert pod.way_to(address) is None, address
    assert pod.way_to("10.1.2.3") == "eth0"


def test_intranet_decides_the_split(node):
    pod = node.pod("a")
    result = node.add(pod, "c1", node.conf(intranet=["0.0.0.0/1", "192.0.0.0/2"]))
    assert [r["dst"] for r in result["routes"]] == ["128.0.0.0/2"]
    assert pod.way_to("8.8.8.8") == "eth0"
    assert pod.way_to("130.1.1.1") == "net1"


def test_mtu_of_the_configuration(node):
    pod = node.pod("a")
    result = node.add(pod, "c1", node.conf(mtu=1300, cniVersion="1.1.0"))
    assert result["interfaces"][0]["mtu"] == 1300
    assert pod.links()["net1"]["mtu"] == 1300
    assert node.ports()["byway c1/net1"]["mtu"] == 1300


def test_same_pod_gets_its_address_again(node):
    node.add(node.pod("a"), "c1", uid="uid-1")
    node.add(node.pod("b"), "c2", uid="uid-2")
    node.delete(None, "c1")
    again = node.add(node.pod("c"), "c3", uid="uid-1")
    assert again["ips"][0]["address"] == "192.168.50.1/24"


def test_sync_role(node):
    pod = node.pod("a")
    before = pod.routes()
    result = node.add(pod, "c1", node.conf("sync"), ifname="sync")
    assert pod.addresses("sync") == ["192.168.51.1/24"]
    assert result["routes"] == []
    assert "gateway" not in result["ips"][0]
    assert [r for r in pod.routes() if r not in before] == \
        [("unicast", "192.168.51.0/24", None, "sync", None)]


FORWARDING = {"net/ipv4/ip_forward": "1", "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
              "net/netfilter/nf_conntrack_tcp_timeout_time_wait": "10",
              "net/netfilter/nf_conntrack_udp_timeout_stream": "600",
              **{f"net/ipv4/conf/{name}/{key}": value for name in ("all", "default", "net1")
                 for key, value in (("rp_filter", "0"), ("send_redirects", "0"),
                                    ("arp_ignore", "1"), ("arp_announce", "2"),
                                    ("arp_notify", "1"))}}


def test_gateway_role(node):
    pod = node.pod("a")
    result = node.add(pod, "c1", node.conf("gateway", subnet=None, vip=None))
    link = pod.links()["net1"]
    assert "UP" in link["flags"]
    assert link["address"].startswith("06:")
    assert result["interfaces"][0]["mac"] == link["address"]
    assert result["ips"] == [] and result["routes"] == []
    assert pod.addresses("net1") == []
    assert node.held("vpn") == []
    wanted = {**FORWARDING, "net/ipv4/fwmark_reflect": "1"}
    assert {key: pod.sysctl(key) for key in wanted} == wanted


def test_router_role(node):
    pod = node.pod("a")
    before = pod.routes()
    node.add(pod, "c1", node.conf("router"))
    assert pod.addresses("net1") == ["192.168.50.241/24"]
    assert [r for r in pod.routes() if r not in before] == \
        [("unicast", "192.168.50.0/24", None, "net1", None)]
    wanted = {**FORWARDING, "net/ipv4/icmp_ratemask": "0"}
    assert {key: pod.sysctl(key) for key in wanted} == wanted


# --- failures ---

def assert_nothing_left(node, pod):
    assert "net1" not in pod.links()
    assert node.ports() == {}
    assert node.held("vpn") == []
    assert [r for r in pod.routes() if r[0] == "unreachable"] == []
    assert [r for r in pod.routes("-6") if r[1] == "2000::/3"] == []
    assert pod.table_routes("187") == pod.table_routes("187", "-6") == []
    assert [r for r in pod.ip("rule") + pod.ip("rule", family="-6") if r["priority"] == 100] == []
    assert pod("nft", "list", "ruleset").stdout == ""


def refused(node, code, status, pod, container="c1", conf=None, **kwargs):
    got, error = node.cni("ADD", pod, container, conf, **kwargs)
    assert (error["code"], got) == (code, status), error
    assert error["cniVersion"] == "1.0.0" and error["msg"] and error["details"]
    return error["details"]


def test_second_add_is_refused_and_harms_nothing(node):
    pod = node.pod("a")
    node.add(pod, "c1")
    before = (pod.links().keys(), pod.routes(), node.held("vpn"), node.ports().keys())
    refused(node, 103, 1, pod)
    assert (pod.links().keys(), pod.routes(), node.held("vpn"), node.ports().keys()) == before
    # Another container id, the same interface: the reserved address is given back.
    refused(node, 103, 1, pod, "c2")
    assert (pod.links().keys(), pod.routes(), node.held("vpn"), node.ports().keys()) == before


def in_the_way(pod):
    """What makes the last requests of an ADD fail."""
    pod("ip", "route", "add", "default", "via", "10.244.0.1", "table", "187")


def test_route_in_the_way_rolls_everything_back(node):
    pod = node.pod("a")
    in_the_way(pod)
    assert "route 0.0.0.0/0: File exists" in refused(node, 5, 1, pod)
    assert [r[:3] for r in pod.table_routes("187")] == [("unicast", "default", "10.244.0.1")]
    pod("ip", "route", "delete", "default", "table", "187")
    assert_nothing_left(node, pod)


def test_route_in_the_way_is_overtaken(node):
    pod = node.pod("a")
    pod("ip", "route", "add", "128.0.0.0/1", "via", "10.244.0.1")
    node.add(pod, "c1")
    assert [r[3] for r in pod.routes() if r[1] == "128.0.0.0/1"] == ["net1", "eth0"]


def test_unreachable_route_of_somebody_else_stays(node):
    pod = node.pod("a")
    pod("ip", "-6", "route", "add", "unreachable", "2000::/3", "metric", "4096")
    in_the_way(pod)
    refused(node, 5, 1, pod)
    assert [r[0] for r in pod.routes("-6") if r[1] == "2000::/3"] == ["unreachable"]


def test_output_that_nobody_reads_rolls_everything_back(node):
    pod = node.pod("a")
    with open("/dev/full", "w", encoding="ascii") as full:
        out = subprocess.run([BUILD / "byway"], input=json.dumps(node.conf()), stdout=full,
                             text=True, env=node.environment("ADD", pod, "c1"), check=False)
    assert out.returncode == 1
    assert_nothing_left(node, pod)


def test_no_address_left(node):
    node.ensure("vpn", "client", "192.168.50.7")
    node.add(node.pod("a"), "c1")
    pod = node.pod("b")
    assert "network vpn" in refused(node, 101, 1, pod, "c2")
    assert "net1" not in pod.links()


@pytest.mark.parametrize("address", [VIP, "192.168.77.1"])
def test_table_and_configuration_disagree(node, address):
    node.ensure("vpn", "client", address)
    pod = node.pod("a")
    assert address in refused(node, 7, 2, pod)
    assert_nothing_left(node, pod)


def test_agent_not_ready(node):
    pod = node.pod("a")
    assert "byway-node" in refused(node, 11, 1, pod, conf=node.conf(netns="/run/netns/nowhere"))
    assert "br-other" in refused(node, 11, 1, pod, conf=node.conf("gateway", network="other"))
    assert "lease table" in refused(node, 11, 1, pod, conf=node.conf(network="other"))
    node.agent("ip", "link", "delete", "br-vpn")
    assert "br-vpn" in refused(node, 11, 1, pod)
    assert_nothing_left(node, pod)


def test_namespaces_that_are_none(node, tmp_path):
    pod = node.pod("a")
    plain = tmp_path / "plain"
    plain.write_text("")
    for path in (str(plain), "/proc/self/ns/mnt", "/nowhere", "/proc/self/ns/net", node.agent.path):
        pod.path, path = path, pod.path
        refused(node, 8, 1, pod)
        pod.path = path
    assert_nothing_left(node, pod)


def test_thirty_at_once(node):
    pods = [node.pod(f"p{i}") for i in range(30)]
    running = [node.start("ADD", pod, f"c{i}", node.conf()) for i, pod in enumerate(pods)]
    addresses = set()
    for process in running:
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 0, out
        addresses.add(json.loads(out)["ips"][0]["address"])
    assert len(addresses) == 30
    assert {state for _, _, state, *_ in node.held("vpn")} == {"active"}
    for pod in pods:
        assert pod.way_to("203.0.113.1") == "net1"
    running = [node.start("DEL", pod, f"c{i}", node.conf()) for i, pod in enumerate(pods)]
    for process in running:
        assert process.communicate(timeout=30) == ("", "") and process.returncode == 0
    assert node.held("vpn") == [] and node.ports() == {}


def test_killed_at_any_point_is_put_right_by_del(node):
    pod = node.pod("a")
    for step in range(40):
        process = node.start("ADD", pod, f"c{step}", node.conf())
        os.sched_yield()
        try:
            process.wait(timeout=step * 0.0002)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        node.delete(pod, f"c{step}")
        assert node.held("vpn") == [] and node.ports() == {}
        assert "net1" not in pod.links()


def test_full_run_directory_is_an_error(node, tmp_path):
    """A store into a hole of a full tmpfs would be a SIGBUS."""
    run("mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path))
    try:
        node.leases = tmp_path
        node.ensure("vpn", "client", "192.168.50.1-192.168.50.100")
        with pytest.raises(OSError), open(tmp_path / "rest", "wb", buffering=0) as rest:
            while True:
                rest.write(bytes(4096))
        ends = [run(BUILD / "tests/lease_ensure", "--take", tmp_path, "vpn", f"c{i}", "net1", "0",
                    check=False) for i in range(20)]
        assert {end.returncode for end in ends} == {0, 1}
        assert "network vpn: no room for the lease table" in ends[-1].stderr
        held = len(node.held("vpn"))
        assert "no room for the lease table" in refused(node, 5, 1, node.pod("a"), "c99")
        assert len(node.held("vpn")) == held < 20
        (tmp_path / "rest").unlink()
        node.add(node.pod("b"), "c99")
    finally:
        run("umount", str(tmp_path))
