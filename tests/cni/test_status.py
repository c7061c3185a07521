"""STATUS: 0 where an ADD would find what it needs, 50 where not, 51 where pods that are there suffer
as well. It looks and changes nothing."""
import pytest


def status(node, conf=None):
    got, error = node.cni("STATUS", None, "", conf)
    if not got:
        return 0, ""
    assert got == 1 and error["msg"]
    return error["code"], error["details"]


def test_ready(node):
    before = node.state()
    assert status(node, node.conf(cniVersion="1.1.0")) == (0, "")
    assert status(node, node.conf("gateway", subnet=None, vip=None)) == (0, "")
    assert node.state() == before


@pytest.mark.parametrize("changes,words", [
    ({"netns": "/run/netns/nowhere"}, "/run/netns/nowhere"),
    ({"netns": "/etc/hostname"}, "not a network namespace"),
    ({"network": "other"}, "bridge br-other is missing"),
    ({"leaseDir": "/nowhere"}, "/nowhere/vpn"),
])
def test_not_available(node, changes, words):
    code, details = status(node, node.conf(**changes))
    assert code == 50 and words in details


def test_pool_full(node):
    node.ensure("vpn", "client", "192.168.50.7")
    node.add(node.pod("a"), "c1")
    code, details = status(node)
    assert code == 50 and "network vpn" in details and "1 of 1" in details
    code, details = status(node, node.conf("router"))
    assert code == 50 and "role router" in details
    assert status(node, node.conf("gateway", subnet=None, vip=None)) == (0, "")


def test_damaged_table(node):
    (node.leases / "vpn").write_text("rubbish")
    code, details = status(node)
    assert code == 50 and "not a lease table" in details


def test_table_that_isolates_clients(node):
    node.agent("nft", "delete table bridge byway")
    code, details = status(node)
    assert code == 50 and "table bridge byway" in details
    assert status(node, node.conf("gateway", subnet=None, vip=None)) == (0, "")


@pytest.mark.parametrize("breakage,words", [
    (["set", "br-vpn", "down"], "bridge br-vpn is down"),
    (["set", "vx-vpn", "down"], "vx-vpn is down"),
    (["set", "vx-vpn", "nomaster"], "vx-vpn is not on bridge br-vpn"),
    (["delete", "vx-vpn"], "vx-vpn, the way to other nodes, is missing"),
])
def test_pods_suffer_as_well(node, breakage, words):
    node.agent("ip", "link", *breakage)
    assert status(node) == (51, words)
    # Another network of the node is not concerned.
    assert status(node, node.conf("sync")) == (0, "")


def test_configuration_is_checked(node):
    got, error = node.cni("STATUS", None, "", node.conf(role="pilot"))
    assert (got, error["code"]) == (2, 7) and "role" in error["details"]
