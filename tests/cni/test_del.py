"""DEL: everything of ours goes, whatever is missing, and nothing of anybody else."""
import json
import subprocess

import pytest

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


def damage_truncate(table):
    table.write_bytes(table.read_bytes()[:5000])


def damage_overwrite(table):
    table.write_bytes(b"\xff" * table.stat().st_size)


def damage_directory(table):
    table.unlink()
    table.mkdir()


def damage_symlink(table):
    table.unlink()
    table.symlink_to("/etc/passwd")


@pytest.mark.parametrize("damage", [
    lambda table: table.write_text(""), lambda table: table.write_text("rubbish"),
    damage_truncate, damage_overwrite, damage_directory, damage_symlink])
def test_del_with_a_damaged_table(node, damage):
    pod = node.pod("a")
    node.add(pod, "c1")
    damage(node.leases / "vpn")
    for _ in range(2):
        node.delete(pod, "c1")
        assert "net1" not in pod.links() and node.ports() == {}


@pytest.mark.parametrize("path", ["/etc/hostname", "/etc", "/run/netns/nowhere", "/dev/null",
                                  "relative", "/proc/self/ns/mnt",
                                  pytest.param("/" + "x" * 5000, id="5000 letters")])
def test_del_with_a_namespace_that_is_none(node, path):
    """After a reboot an empty file may lie where the namespace was mounted."""
    pod = node.pod("a")
    node.add(pod, "c1")
    env = {**node.environment("DEL", pod, "c1"), "CNI_NETNS": path}
    for conf in (node.conf(), node.conf(netns=path)):
        out = subprocess.run([BUILD / "byway"], input=json.dumps(conf), env=env, text=True,
                             capture_output=True, check=False)
        assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    assert node.ports() == {} and node.held("vpn") == []


def test_del_in_the_hosts_namespace_touches_nothing_of_the_host(node):
    host, pod = node.namespace("host"), node.pod("a")
    host("ip", "link", "add", "net1", "type", "veth", "peer", "name", "peer")
    node.add(pod, "c1")
    env = {**node.environment("DEL", pod, "c1"), "CNI_NETNS": "/proc/self/ns/net"}
    out = subprocess.run(["nsenter", f"--net={host.path}", BUILD / "byway"], text=True, env=env,
                         input=json.dumps(node.conf()), capture_output=True, check=False)
    assert (out.returncode, out.stdout) == (0, "")
    assert "net1" in host.links()
    assert "net1" not in pod.links() and node.held("vpn") == []


@pytest.mark.parametrize("result", [None, "x", [], {}, {"cniVersion": "9.9.9"},
                                    {"interfaces": [{"name": "eth0", "sandbox": "/x"}]}])
def test_del_whatever_the_previous_result_says(node, result):
    pod = node.pod("a")
    node.add(pod, "c1")
    node.delete(pod, "c1", node.conf(prevResult=result))
    assert node.ports() == {} and node.held("vpn") == []
    assert "eth0" in pod.links()


DELEGATE = """#!/bin/sh
cat >/dev/null
echo "$CNI_COMMAND $CNI_CONTAINERID ${CNI_NETNS:-none}" >>"$(dirname "$0")/calls"
[ -e "$(dirname "$0")/broken" ] && { echo '{"code": 42, "msg": "the disk is full"}'; exit 1; }
[ "$CNI_COMMAND" != ADD ] || echo '{"ips": [{"address": "192.168.50.77/24"}]}'
"""


class Delegate:
    """An IPAM plugin that notes how it was called, and fails when it is broken."""

    def __init__(self, node, directory):
        self.node, self.directory = node, directory
        self.conf = node.conf(cniVersion="1.1.0", ipam={"type": "notes"})
        (directory / "notes").write_text(DELEGATE)
        (directory / "notes").chmod(0o755)
        self.called("nothing")

    def called(self, *wanted):
        path = self.directory / "calls"
        calls = path.read_text().splitlines() if path.exists() else ["nothing"]
        path.unlink(missing_ok=True)
        assert calls == list(wanted)

    def run(self, verb, pod, container, **changes):
        env = {**self.node.environment(verb, pod, container), "CNI_PATH": str(self.directory)}
        out = subprocess.run([BUILD / "byway"], input=json.dumps({**self.conf, **changes}), env=env,
                             text=True, capture_output=True, check=False)
        assert not out.stderr
        return out.returncode, json.loads(out.stdout) if out.stdout else None


@pytest.fixture(name="delegate")
def delegate_of_the_node(node, tmp_path):
    (tmp_path / "bin").mkdir()
    return Delegate(node, tmp_path / "bin")


def test_del_is_always_told_to_the_delegate(node, delegate):
    pod = node.pod("a")
    assert delegate.run("ADD", pod, "c1")[0] == 0
    delegate.called(f"ADD c1 {pod.path}")
    assert delegate.run("DEL", None, "c1") == (0, None)
    delegate.called("DEL c1 none")
    assert node.ports() == {}
    for changes in ({}, {"netns": "/run/netns/nowhere"}, {"leaseDir": "/nowhere"}, {"subnet": 7},
                    {"cniVersion": "9.9.9"}, {"name": None}):
        assert delegate.run("DEL", pod, "never-seen", **changes) == (0, None)
        delegate.called(f"DEL never-seen {pod.path}")


def test_del_of_a_broken_delegate_is_told_and_can_be_repeated(node, delegate):
    pod = node.pod("a")
    assert delegate.run("ADD", pod, "c1")[0] == 0
    (delegate.directory / "broken").touch()
    status, error = delegate.run("DEL", pod, "c1")
    assert status == 1 and error["code"] == 42 and "the disk is full" in error["details"]
    assert node.ports() == {}, "the link is gone all the same"
    (delegate.directory / "broken").unlink()
    assert delegate.run("DEL", pod, "c1") == (0, None)


def test_check_gc_and_status_are_told_to_the_delegate(node, delegate):
    pod = node.pod("a")
    _, result = delegate.run("ADD", pod, "c1")
    delegate.called(f"ADD c1 {pod.path}")
    assert delegate.run("CHECK", pod, "c1", prevResult=result) == (0, None)
    delegate.called(f"CHECK c1 {pod.path}")
    assert delegate.run("GC", None, "", **{"cni.dev/valid-attachments": []}) == (0, None)
    delegate.called("GC  none")
    assert delegate.run("STATUS", None, "") == (0, None)
    delegate.called("STATUS  none")
    (delegate.directory / "broken").touch()
    for verb, changes in (("CHECK", {"prevResult": result}), ("STATUS", {}),
                          ("GC", {"cni.dev/valid-attachments": []})):
        status, error = delegate.run(verb, pod, "c1", **changes)
        assert status == 1 and error["code"] == 42, verb


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
