"""GC: what is dead by proof is freed; what is listed, on its way, or alive behind its port is not,
whoever made it."""
import time

import pytest

from node import port_name

GRACE = 300
KEY = "cni.dev/valid-attachments"


def gc_conf(node, **changes):
    return node.conf(cniVersion="1.1.0", **changes)


def listed(*attachments):
    return [{"containerID": container, "ifname": ifname} for container, ifname in attachments]


def gc(node, valid, key=KEY, **changes):
    """The details of the error, "" where there is none."""
    status, error = node.cni("GC", None, "", gc_conf(node, **{key: valid, **changes}))
    assert (status == 0) == (error is None), error
    return error["details"] if error else ""


def holders(node, network="vpn"):
    return [lease[3] for lease in node.held(network)]


def dead(node, container, conf=None):
    """An attachment whose pod is gone, and whose DEL got lost."""
    pod = node.pod(container)
    node.add(pod, container, conf)
    pod.delete()
    for _ in range(100):
        if f"byway {container}/net1" not in node.ports():
            return
        time.sleep(0.05)
    raise AssertionError("the port outlives its namespace")


def test_dead_and_old_is_freed(node):
    dead(node, "gone")
    assert gc(node, []) == ""
    assert node.held("vpn") == []
    # And once more, with nothing there.
    assert gc(node, []) == ""


def test_nothing_is_said_about_what_is_valid(node):
    dead(node, "gone")
    before = node.state()
    assert node.cni("GC", None, "", gc_conf(node)) == (0, None)
    assert node.cni("GC", None, "", {**gc_conf(node), KEY: None}) == (0, None)
    assert node.state() == before


@pytest.mark.parametrize("key", [KEY, "cni.dev/attachments", "CNI.dev/Valid-Attachments"])
def test_listed_is_kept_by_either_key(node, key):
    dead(node, "kept")
    dead(node, "gone")
    assert gc(node, listed(("kept", "net1"), ("gone", "net2"), ("gon", "enet1")), key) == ""
    assert holders(node) == ["kept"]


def test_each_of_both_lists_protects(node):
    for container in ("one", "two", "three"):
        dead(node, container)
    assert gc(node, listed(("one", "net1")),
              **{"cni.dev/attachments": listed(("two", "net1"))}) == ""
    assert holders(node) == ["one", "two"]


def test_two_runtimes_on_one_network(node):
    """podman and containerd, each knowing its own pods alone: whatever one of them calls valid,
    the living pods of the other stay attached, and what both have lost goes."""
    podman, containerd = node.pod("p"), node.pod("c")
    node.add(podman, "podman1")
    node.add(containerd, "containerd1")
    dead(node, "podman2")
    dead(node, "containerd2")
    ways = [pod.routes() for pod in (podman, containerd)]
    assert gc(node, listed(("podman1", "net1"))) == ""
    assert holders(node) == ["podman1", "containerd1"]
    assert gc(node, listed(("containerd1", "net1"))) == ""
    assert gc(node, []) == ""
    assert holders(node) == ["podman1", "containerd1"]
    assert set(node.ports()) == {"byway podman1/net1", "byway containerd1/net1"}
    assert [pod.routes() for pod in (podman, containerd)] == ways


def unfinished(node, pod, container, seconds):
    """What an ADD leaves that was killed so long ago: an address that is reserved, and a link."""
    port = port_name(container, "net1")
    node.take("vpn", container, "net1", seconds)
    node.agent("ip", "link", "add", port, "type", "veth", "peer", "name", "net1", "netns", pod.name)
    node.agent("ip", "link", "set", port, "master", "br-vpn", "up", "alias",
               f"byway {container}/net1")


def test_add_that_died_half_way(node):
    old, young = node.pod("a"), node.pod("b")
    unfinished(node, old, "old", GRACE)
    unfinished(node, young, "young", GRACE - 60)
    assert gc(node, listed(("old", "net1"))) == ""
    assert holders(node) == ["old", "young"], "one is listed, one may be on its way"
    assert gc(node, []) == ""
    assert holders(node) == ["young"] and set(node.ports()) == {"byway young/net1"}
    node.add(old, "c2")


def test_reserved_and_no_link_yet(node):
    node.take("vpn", "old", "net1", GRACE)
    node.take("vpn", "young", "net1", 0)
    assert gc(node, []) == ""
    assert holders(node) == ["young"]


def test_name_of_our_port_on_a_link_of_somebody_else(node):
    """It is not deleted, though the lease is dead."""
    node.take("vpn", "old", "net1", GRACE)
    node.agent("ip", "link", "add", port_name("old", "net1"), "type", "bridge")
    assert gc(node, []) == ""
    assert node.held("vpn") == [] and port_name("old", "net1") in node.agent.links()


def test_port_of_somebody_else_proves_nothing(node):
    """A link with the name of our port and another alias: ours is gone, and it is not touched."""
    pod = node.pod("a")
    node.add(pod, "c1")
    name = node.ports()["byway c1/net1"]["ifname"]
    node.agent("ip", "link", "set", name, "alias", "not ours")
    assert gc(node, []) == ""
    assert node.held("vpn") == [] and name in node.agent.links()


def test_only_this_network(node):
    dead(node, "gone")
    dead(node, "gone2", node.conf("sync"))
    assert gc(node, []) == ""
    assert node.held("vpn") == [] and holders(node, "sync") == ["gone2"]


def test_a_link_without_a_lease_goes_with_its_namespace(node):
    pod = node.pod("a")
    conf = node.conf("gateway", subnet=None, vip=None)
    node.add(pod, "g1", conf)
    assert gc(node, [], role="gateway", subnet=None, vip=None) == ""
    assert set(node.ports()) == {"byway g1/net1"}


@pytest.mark.parametrize("netns", ["/run/netns/nowhere", "/etc/hostname"])
def test_without_the_agents_namespace_nothing_is_proven(node, netns):
    dead(node, "gone")
    status, error = node.cni("GC", None, "", gc_conf(node, netns=netns, **{KEY: []}))
    assert (status, error["code"]) == (1, 11) and netns in error["details"]
    assert holders(node) == ["gone"]


def test_no_table_and_a_damaged_one(node):
    assert gc(node, [], leaseDir="/nowhere") == ""
    (node.leases / "vpn").write_text("rubbish")
    status, error = node.cni("GC", None, "", gc_conf(node, **{KEY: []}))
    assert (status, error["code"]) == (1, 5) and "not a lease table" in error["details"]


def test_old_configurations_have_no_gc(node):
    dead(node, "gone")
    status, error = node.cni("GC", None, "", node.conf(cniVersion="1.0.0", **{KEY: []}))
    assert (status, error["code"]) == (2, 1) and "1.1.0" in error["details"]
    assert holders(node) == ["gone"]


def test_thousands_of_valid_attachments(node):
    dead(node, "gone")
    pod = node.pod("a")
    node.add(pod, "here")
    valid = [(f"{n:064x}", "net1") for n in range(20000)] + [("here", "net1")]
    assert gc(node, listed(*valid)) == ""
    assert holders(node) == ["here"]
