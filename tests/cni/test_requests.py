"""Addresses and MAC addresses that users ask for, and chains of plugins."""
import pytest

from node import SPLIT, VIP


def refused(node, pod, conf, code, words, **kwargs):
    before = node.held("vpn"), pod.links().keys(), node.ports().keys()
    status, error = node.cni("ADD", pod, "c9", conf, **kwargs)
    assert status != 0 and error["code"] == code and words in error["details"], error
    assert (node.held("vpn"), pod.links().keys(), node.ports().keys()) == before


MAC = "c2:b0:57:49:47:f1"


@pytest.mark.parametrize("conf,env", [
    ({}, {"CNI_ARGS": f"IgnoreUnknown=true;IP=192.168.50.77;MAC={MAC};IP=192.168.50.77;MAC={MAC}"}),
    ({"args": {"cni": {"ips": ["192.168.50.77/24"], "mac": MAC}}}, {}),
    # as Multus does it: both at once
    ({"capabilities": {"ips": True, "mac": True},
      "runtimeConfig": {"ips": ["192.168.50.77", "192.168.50.77/24"], "mac": MAC.upper()}},
     {"CNI_ARGS": f"IP=192.168.50.77;MAC={MAC}"}),
])
def test_address_and_mac(node, conf, env):
    pod = node.pod("a")
    result = node.add(pod, "c1", node.conf(**conf), **env)
    assert pod.addresses("net1") == ["192.168.50.77/24"]
    assert pod.links()["net1"]["address"] == MAC
    assert result["interfaces"][0]["mac"] == MAC
    assert result["ips"][0]["address"] == "192.168.50.77/24"
    assert node.held("vpn") == [("192.168.50.77", "client", "active", "c1", "net1", "")]


def test_address_in_use(node):
    conf = node.conf(runtimeConfig={"ips": ["192.168.50.77"]})
    node.add(node.pod("a"), "c1", conf)
    refused(node, node.pod("b"), conf, 102, "192.168.50.77 is held by container c1")


def test_address_of_another_node(node):
    conf = node.conf(runtimeConfig={"ips": ["192.168.50.177"]})
    refused(node, node.pod("a"), conf, 101, "192.168.50.177 is not an address of role client")


@pytest.mark.parametrize("ip,words", [(VIP, "it is the VIP"), ("192.168.77.7", "not an address"),
                                      ("fd00::7", "carries IPv4"), ("192.168.50.0", "not an")])
def test_address_that_cannot_be_had(node, ip, words):
    refused(node, node.pod("a"), node.conf(runtimeConfig={"ips": [ip]}), 7, words)


def test_mac_of_the_vip(node):
    refused(node, node.pod("a"), node.conf(runtimeConfig={"mac": "02:bb:c0:a8:32:f0"}), 7,
            f"it belongs to address {VIP}")


def test_mac_of_a_gateway(node):
    pod = node.pod("a")
    node.add(pod, "c1", node.conf("gateway", runtimeConfig={"mac": MAC}))
    assert pod.links()["net1"]["address"] == MAC


def test_sync_address(node):
    pod = node.pod("a")
    node.add(pod, "c1", node.conf("sync"), ifname="sync", CNI_ARGS="IP=192.168.51.42")
    assert pod.addresses("sync") == ["192.168.51.42/24"]


# --- chains ---

PREVIOUS = {
    "interfaces": [{"name": "br0", "mac": "0a:00:00:00:00:01"},
                   {"name": "eth7", "mac": "0a:00:00:00:00:02", "sandbox": "/run/netns/other"}],
    "ips": [{"interface": 1, "address": "10.1.0.7/16", "gateway": "10.1.0.1"}],
    "routes": [{"dst": "10.0.0.0/8", "gw": "10.1.0.1"}],
    "dns": {"nameservers": ["10.1.0.2"], "search": ["a.b"]},
}


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
def test_chain(node, version):
    pod = node.pod("a")
    wanted_ip = dict(PREVIOUS["ips"][0])
    if version.startswith("0."):
        wanted_ip["version"] = "4"
    previous = {"cniVersion": version, **PREVIOUS, "ips": [wanted_ip]}
    result = node.add(pod, "c1", node.conf(cniVersion=version, prevResult=previous))
    ours = {"name": "net1", "mac": "02:bb:c0:a8:32:01", "sandbox": pod.path}
    if version == "1.1.0":
        ours["mtu"] = 1400
    ip = {**wanted_ip, "interface": 2, "address": "192.168.50.1/24", "gateway": VIP}
    assert result == {
        "cniVersion": version,
        "interfaces": [*PREVIOUS["interfaces"], ours],
        "ips": [wanted_ip, ip],
        "routes": PREVIOUS["routes"] + [{"dst": dst, "gw": VIP} for dst in SPLIT],
        "dns": PREVIOUS["dns"],
    }


@pytest.mark.parametrize("previous", ["0.1.0", "0.2.0"])
@pytest.mark.parametrize("version", ["0.2.0", "1.1.0"])
def test_chain_after_an_old_result(node, previous, version):
    old = {"cniVersion": previous, "dns": {},
           "ip6": {"ip": "fd00:1::7/64", "routes": [{"dst": "fd00::/8", "gw": "fd00:1::1"}]}}
    result = node.add(node.pod("a"), "c1", node.conf(cniVersion=version, prevResult=old))
    routes = [{"dst": dst, "gw": VIP} for dst in SPLIT]
    if version == "0.2.0":
        assert result["ip6"] == old["ip6"]
        assert result["ip4"] == {"ip": "192.168.50.1/24", "gateway": VIP, "routes": routes}
    else:
        assert result["ips"][0] == {"address": "fd00:1::7/64"}
        assert result["ips"][1]["interface"] == 0
        assert result["routes"] == old["ip6"]["routes"] + routes


def test_gateway_in_a_chain_of_an_old_version(node):
    old = {"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.7/16", "routes": []}, "dns": {}}
    result = node.add(node.pod("a"), "c1", node.conf("gateway", cniVersion="0.2.0", prevResult=old))
    assert result == old


@pytest.mark.parametrize("version,previous,words", [
    ("1.0.0", {"cniVersion": "1.0.0", "ips": [{"address": "x"}]}, "prevResult.ips[0].address"),
    ("1.0.0", {"ips": [{"address": "10.0.0.1/8", "interface": 3}]}, "interface 3 of 0"),
    ("1.0.0", {"cniVersion": "2.0.0"}, "prevResult.cniVersion"),
    ("1.0.0", [], "prevResult: must be an object"),
    ("1.0.0", {"routes": [{"dst": "10.0.0.0/8"}] * 1025}, "at most 1024"),
    ("0.2.0", {"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.1/8"}}, "more than 1 address"),
])
def test_previous_result_that_cannot_be_used(node, version, previous, words):
    refused(node, node.pod("a"), node.conf(cniVersion=version, prevResult=previous), 7, words)


def test_interface_of_the_plugin_before(node):
    """A chain is for one interface: whoever made it first, keeps it."""
    pod = node.pod("a")
    pod("ip", "link", "add", "net1", "type", "veth", "peer", "name", "other")
    refused(node, pod, node.conf(prevResult={"interfaces": [{"name": "net1", "sandbox": pod.path}]}),
            103, "net1 exists already")
