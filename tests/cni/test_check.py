"""CHECK: silent where the attachment is as the chain made it, one line on the first thing that is not."""
import pytest

from node import SPLIT, VIP


class Attached:
    """A client that CHECK finds in order, until a test breaks it."""

    def __init__(self, node, conf=None, ifname="net1"):
        self.node, self.ifname = node, ifname
        self.conf = conf or node.conf(cniVersion="1.1.0")
        self.pod = node.pod("a")
        self.result = node.add(self.pod, "c1", self.conf, ifname=ifname)

    def check(self, result=None, **changes):
        """(code, details), (0, "") where there is nothing to say."""
        conf = {**self.conf, "prevResult": result or self.result, **changes}
        before = self.node.state(self.pod)
        status, error = self.node.cni("CHECK", self.pod, "c1", conf, ifname=self.ifname)
        assert self.node.state(self.pod) == before, "CHECK changes nothing"
        assert (status == 0) == (error is None)
        return (error["code"], error["details"]) if error else (0, "")

    @property
    def port(self):
        return self.node.ports()[f"byway c1/{self.ifname}"]["ifname"]


@pytest.fixture(name="client")
def attached_client(node):
    return Attached(node)


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0", "1.1.0"])
def test_right_after_add(node, version):
    assert Attached(node, node.conf(cniVersion=version)).check() == (0, "")


@pytest.mark.parametrize("role", ["gateway", "sync"])
def test_other_roles(node, role):
    changes = {"subnet": None, "vip": None} if role == "gateway" else {}
    made = Attached(node, node.conf(role, cniVersion="1.1.0", **changes), ifname="sync0")
    assert made.check() == (0, "")
    made.pod("ip", "link", "set", "sync0", "down")
    assert made.check() == (104, "sync0 is down")


@pytest.mark.parametrize("breakage,words", [
    (["link", "set", "net1", "down"], "net1 is down"),
    (["link", "set", "net1", "address", "02:00:00:00:00:01"],
     "net1 has MAC 02:00:00:00:00:01 instead of 02:bb:c0:a8:32:01"),
    (["link", "set", "net1", "mtu", "1300"], "net1 has MTU 1300 instead of 1400"),
    (["addr", "replace", "192.168.50.1/25", "dev", "net1"], None),
    (["route", "delete", "128.0.0.0/1"], "missing in the pod: route table 254 dst 128.0.0.0/1"),
    (["route", "delete", "unreachable", "default", "metric", "4096", "table", "187"],
     "missing in the pod: route table 187 dst 0.0.0.0/0 metric 4096 type unreachable"),
    (["route", "delete", "default", "via", VIP, "table", "187"], "table 187 dst 0.0.0.0/0 via"),
    (["route", "delete", "throw", "10.0.0.0/8", "table", "187"], "dst 10.0.0.0/8 type throw"),
    (["route", "delete", "192.168.50.0/24", "table", "187"], "table 187 dst 192.168.50.0/24"),
    (["rule", "delete", "pref", "100"], "missing in the pod: rule pref 100"),
    (["-6", "rule", "delete", "pref", "100"], "missing in the pod: rule pref 100"),
    (["route", "replace", "0.0.0.0/5", "via", "10.244.0.1"], "dst 0.0.0.0/5"),
    (["-6", "route", "delete", "unreachable", "2000::/3", "metric", "4096"], "dst 2000::/3"),
    (["link", "delete", "net1"], "port"),
])
def test_what_is_wrong_in_the_pod(client, breakage, words):
    client.pod("ip", *breakage)
    if words is None:  # an address more is somebody's; ours is still there
        assert client.check() == (0, "")
        client.pod("ip", "addr", "delete", "192.168.50.1/24", "dev", "net1")
        words = "192.168.50.1/24"
    code, details = client.check()
    assert code == 104 and words in details


@pytest.mark.parametrize("command", ["delete table inet byway",
                                     "chain inet byway guard { policy accept; }"])
def test_seal_of_the_pod(client, command):
    client.pod("nft", command)
    code, details = client.check()
    assert code == 104 and details.startswith("nftables table byway")


def test_client_of_two_networks(client):
    """The second one has no way out, and need not."""
    node = client.node
    node.ensure("sync", "client", "192.168.51.1-192.168.51.9")
    conf = node.conf(cniVersion="1.1.0", name="sync", subnet="192.168.51.0/24", vip="192.168.51.240")
    result = node.add(client.pod, "c1", conf, ifname="net2")
    assert client.check() == (0, "")
    told = {**conf, "prevResult": result}
    assert node.cni("CHECK", client.pod, "c1", told, ifname="net2") == (0, None)
    client.pod("ip", "link", "set", "net2", "down")
    assert node.cni("CHECK", client.pod, "c1", told, ifname="net2")[1]["details"] == "net2 is down"


def test_each_split_route_is_looked_at(client):
    for dst in SPLIT:
        client.pod("ip", "route", "delete", dst, "via", VIP)
        code, details = client.check()
        assert code == 104 and f"dst {dst} " in details
        client.pod("ip", "route", "add", dst, "via", VIP)
    assert client.check() == (0, "")


@pytest.mark.parametrize("breakage,words", [
    (["down"], "is down"), (["nomaster"], "is not on bridge br-vpn"),
    (["master", "br-sync"], "is not on bridge br-vpn"),
    (["alias", "somebody's"], 'is not ours: its alias is "somebody\'s"'),
])
def test_what_is_wrong_at_the_port(client, breakage, words):
    port = client.port
    client.node.agent("ip", "link", "set", port, *breakage)
    assert client.check() == (104, f"port {port} {words}")


def test_interface_of_somebody_else_under_our_name(client):
    client.pod("ip", "link", "set", "net1", "name", "old")
    client.pod("ip", "link", "add", "net1", "address", "02:bb:c0:a8:32:01", "mtu", "1400", "type",
               "veth", "peer", "name", "other")
    client.pod("ip", "link", "set", "net1", "up")
    assert client.check() == (104, f"net1 is not the other end of port {client.port}")


def test_additions_are_nobodys_fault(client):
    client.pod("ip", "addr", "add", "192.168.50.77/24", "dev", "net1")
    client.pod("ip", "addr", "add", "2001:db8::1/64", "dev", "net1", "nodad")
    client.pod("ip", "route", "add", "128.0.0.0/2", "via", VIP, "metric", "7")
    client.pod("ip", "route", "add", "8.0.0.0/7", "via", "192.168.50.2", "metric", "9")
    assert client.check() == (0, "")


def test_last_word_is_that_of_the_chain(node):
    """A plugin behind us, such as tuning, changes the interface and says so."""
    made = Attached(node, node.conf("sync", cniVersion="1.1.0"))
    made.pod("ip", "link", "set", "net1", "address", "02:00:00:00:00:01", "mtu", "1280")
    interface = {**made.result["interfaces"][0], "mac": "02:00:00:00:00:01", "mtu": 1280}
    other = {"name": "lo", "sandbox": made.pod.path}
    told = {**made.result, "interfaces": [other, interface],
            "ips": [{"address": "192.168.51.99/24", "interface": 0},
                    {**made.result["ips"][0], "interface": 1}],
            "routes": [{"dst": "172.31.0.0/16", "gw": "10.244.0.9"}]}
    assert made.check() != (0, "")
    assert made.check(told) == (0, "")


@pytest.mark.parametrize("breakage,words", [
    (["bridge", "link", "set", "dev", "{port}", "isolated", "off"], "is not isolated"),
    (["bridge", "link", "set", "dev", "{port}", "learning", "on"], "is not isolated"),
    (["bridge", "link", "set", "dev", "{port}", "flood", "on"], "is not isolated"),
    (["bridge", "link", "set", "dev", "{port}", "mcast_flood", "on"], "is not isolated"),
    (["ip", "link", "set", "{port}", "group", "default"], "is not isolated"),
    (["bridge", "fdb", "delete", "02:bb:c0:a8:32:01", "dev", "{port}", "master"],
     "the bridge's entry for MAC 02:bb:c0:a8:32:01"),
    (["nft", 'delete element bridge byway macs {{ "{port}" . 02:bb:c0:a8:32:01 }}'],
     "is not entered"),
    (["nft", 'delete element bridge byway addresses {{ "{port}" . 192.168.50.1 }}'],
     "is not entered"),
    (["nft", "delete table bridge byway"], "is not entered"),
])
def test_what_is_wrong_with_the_isolation_of_a_client(client, breakage, words):
    port = client.port
    client.node.agent(*[word.format(port=port) for word in breakage])
    code, details = client.check()
    assert code == 104 and details.startswith(f"port {port}") and words in details


def test_routes_of_the_result_by_our_network(client):
    """As a delegate gives them."""
    told = {**client.result, "routes": [{"dst": "10.9.0.0/16", "gw": "192.168.50.9"}]}
    code, details = client.check(told)
    assert code == 104 and "dst 10.9.0.0/16 via 192.168.50.9" in details
    client.pod("ip", "route", "add", "10.9.0.0/16", "via", "192.168.50.9")
    assert client.check(told) == (0, "")


def test_lease_of_somebody_else_and_none(client):
    node = client.node
    (node.leases / "vpn").unlink()
    assert client.check()[0] == 11
    node.ensure("vpn", "client", "192.168.50.1-192.168.50.9")
    code, details = client.check()
    assert code == 104 and "net1 of container c1 has no address" in details
    node.take("vpn", "c1", "net1", 0)
    code, details = client.check()
    assert code == 104 and "not active" in details


def test_lease_for_another_address(node):
    made = Attached(node, node.conf("sync", cniVersion="1.1.0"))
    made.pod("ip", "addr", "add", "192.168.51.77/24", "dev", "net1")
    told = {**made.result, "ips": [{"address": "192.168.51.77/24", "interface": 0}]}
    assert made.check(told) == \
        (104, "network sync: the lease is for 192.168.51.1 instead of 192.168.51.77")


@pytest.mark.parametrize("breakage,words", [
    (["set", "br-vpn", "down"], "bridge br-vpn is down"), (["delete", "vx-vpn"], "vx-vpn"),
    (["delete", "br-vpn"], "bridge br-vpn is missing"),
])
def test_network_of_the_node(client, breakage, words):
    client.node.agent("ip", "link", *breakage)
    code, details = client.check()
    assert code == 11 and words in details


def test_agent_is_gone(client):
    code, details = client.check(netns="/run/netns/nowhere")
    assert code == 11 and "/run/netns/nowhere" in details


@pytest.mark.parametrize("result,words", [
    (None, "prevResult"), ([], "prevResult"), ("x", "prevResult"), ({}, "no interface net1"),
    ({"interfaces": [{"name": "net1"}]}, "no interface net1"),
    ({"interfaces": [{"name": "net2", "sandbox": "/x"}]}, "no interface net1"),
    ({"interfaces": [{"name": "net1", "sandbox": "/x", "mac": "ab"}]}, '"ab" is not a MAC'),
    ({"interfaces": [{"name": "net1", "sandbox": "/x"}]}, "no address in 192.168.50.0/24"),
    ({"interfaces": [{"name": "net1", "sandbox": "/x"}],
      "ips": [{"address": "10.0.0.1/8", "interface": 0}]}, "no address in 192.168.50.0/24"),
    ({"interfaces": [], "ips": [{"address": "192.168.50.1/24", "interface": 0}]}, "interface 0"),
    ({"interfaces": [{"name": 7}]}, "prevResult.interfaces[0].name"),
    ({"routes": [{"dst": "nowhere"}]}, "prevResult.routes[0].dst"),
])
def test_previous_result_that_is_none(client, result, words):
    conf = {**client.conf, "prevResult": result}
    status, error = client.node.cni("CHECK", client.pod, "c1", conf)
    assert (status, error["code"]) == (2, 7) and words in error["details"], error


def test_old_versions_have_no_check(node):
    made = Attached(node, node.conf(cniVersion="0.3.1"))
    code, details = made.check()
    assert code == 1 and "0.4.0" in details


def test_namespace_that_is_none(client):
    conf = {**client.conf, "prevResult": client.result}
    client.pod.delete()
    status, error = client.node.cni("CHECK", client.pod, "c1", conf)
    assert (status, error["code"]) == (1, 8)
