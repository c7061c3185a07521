"""DEL: everything of ours goes, whatever is missing, and nothing of anybody else."""
import json
import subprocess

from node import BUILD


def test_del_removes_link_and_lease_and_keeps_the_way_out_shut(node):
    pod = node.pod("a")
    node.add(pod, "c1")
    node.delete(pod, "c1")
    assert "net1" not in pod.links()
    assert node.ports() == {} and node.held("vpn") == []
    assert pod.way_to("203.0.113.1") is None
    assert pod.way_to("10.1.2.3") == "eth0"
    # The same namespace can be attached again.
    node.add(pod, "c2")
    assert pod.way_to("203.0.113.1") == "net1"


def test_del_again_and_again(node):
    pod = node.pod("a")
    node.add(pod, "c1")
    for _ in range(3):
        node.delete(pod, "c1")
    node.delete(None, "never-seen")


def test_del_of_one_leaves_the_others(node):
    pod, other = node.pod("a"), node.pod("b")
    node.add(pod, "c1")
    node.add(other, "c2")
    node.add(pod, "c1", node.conf("sync"), ifname="sync")
    node.delete(pod, "c1")
    assert set(node.ports()) == {"byway c2/net1", "byway c1/sync"}
    assert [lease[3] for lease in node.held("vpn")] == ["c2"]
    assert [lease[4] for lease in node.held("sync")] == ["sync"]
    assert other.way_to("203.0.113.1") == "net1"


def test_del_without_namespace_link_lease_table_or_agent(node):
    pod = node.pod("a")
    node.add(pod, "c1")
    node.delete(None, "c1")
    assert node.ports() == {} and "net1" not in pod.links()
    node.add(pod, "c2")
    pod.delete()
    node.delete(pod, "c2")
    assert node.held("vpn") == []
    node.delete(pod, "c3", node.conf(netns="/run/netns/nowhere"))
    node.delete(pod, "c3", node.conf(leaseDir="/nowhere"))
    node.delete(pod, "c3", node.conf(network="other"))
    (node.leases / "vpn").write_text("rubbish")
    node.delete(pod, "c3")


def test_del_with_a_namespace_path_that_leads_elsewhere(node):
    pod, other = node.pod("a"), node.pod("b")
    node.add(pod, "c1")
    node.add(other, "c2")
    node.delete(other, "c1")
    assert "net1" in other.links() and "net1" not in pod.links()


def test_del_leaves_a_port_of_somebody_else(node):
    pod = node.pod("a")
    node.add(pod, "c1")
    name = node.ports()["byway c1/net1"]["ifname"]
    node.agent("ip", "link", "set", name, "alias", "not ours")
    node.delete(pod, "c1")
    assert name in node.agent.links()


def test_del_with_a_configuration_that_add_refuses(node):
    pod = node.pod("a")
    node.add(pod, "c1")
    node.delete(pod, "c1", node.conf(vip="1.2.3.4", mtu=-1, role="pilot", subnet=["x"],
                                     cniVersion="9.9.9", intranet=None))
    assert node.ports() == {} and node.held("vpn") == []


def test_del_prints_nothing_but_errors(node):
    out = subprocess.run([BUILD / "byway"], input="{", capture_output=True, text=True, check=False,
                         env=node.environment("DEL", None, "c1"))
    assert out.returncode == 2 and json.loads(out.stdout)["code"] == 6
