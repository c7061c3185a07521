"""ADD with addresses from other plugins: Debian's host-local and static, and scripts that misbehave."""
import json

import pytest

from node import BUILD, SPLIT, VIP

DEBIAN = "/usr/lib/cni"


def host_local(node, first="192.168.50.20", last="192.168.50.22", **more):
    return {"type": "host-local", "dataDir": str(node.leases / "host-local"),
            "ranges": [[{"subnet": "192.168.50.0/24", "rangeStart": first, "rangeEnd": last,
                         "gateway": VIP}]], **more}


def held(node, network="vpn"):
    """{address: (container, interface)} of host-local."""
    directory = node.leases / "host-local" / network
    return {path.name: tuple(path.read_text().split()) for path in directory.iterdir()
            if path.name[0].isdigit()} if directory.exists() else {}


class Delegate:
    """A plugin named "fake" that writes down how it is called, and answers what it is told to."""

    def __init__(self, directory):
        self.directory = directory
        self.says("{}")

    def runs(self, script):
        path = self.directory / "fake"
        path.write_text(f'#!/bin/sh\ncd {self.directory}\necho "$CNI_COMMAND" >>calls\n'
                        f'env >"env.$CNI_COMMAND"\ncat >"input.$CNI_COMMAND"\n{script}\n')
        path.chmod(0o755)

    def says(self, answer, status=0):
        (self.directory / "answer").write_text(answer)
        self.runs(f'[ "$CNI_COMMAND" = DEL ] || cat answer; exit {status}')

    def calls(self):
        path = self.directory / "calls"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def fake(tmp_path):
    directory = tmp_path / "fake-plugins"
    directory.mkdir()
    return Delegate(directory)


def add(node, pod, container, conf, path=DEBIAN, **kwargs):
    return node.add(pod, container, conf, CNI_PATH=path, **kwargs)


def refused(node, pod, conf, container="c1", path=DEBIAN, **kwargs):
    status, error = node.cni("ADD", pod, container, conf, CNI_PATH=path, **kwargs)
    assert status != 0
    return error["code"], error["details"]


def assert_nothing_left(node, pod):
    assert "net1" not in pod.links()
    assert node.ports() == {} and node.held("vpn") == [] and held(node) == {}
    assert not [r for r in pod.routes() + pod.routes("-6") if r[0] == "unreachable"]


# --- Debian's ---

@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"])
def test_host_local(node, version):
    pod = node.pod("a")
    result = add(node, pod, "c1", node.conf(ipam=host_local(node), cniVersion=version))
    assert held(node) == {"192.168.50.20": ("c1", "net1")}
    assert node.held("vpn") == []
    assert pod.addresses("net1") == ["192.168.50.20/24"]
    assert pod.links()["net1"]["address"] == "02:bb:c0:a8:32:14"
    assert pod.way_to("8.8.8.8") == "net1" and pod.way_to("10.1.2.3") == "eth0"
    assert result["cniVersion"] == version
    ip = result["ip4"] if version < "0.3" else result["ips"][0]
    assert ip["ip" if version < "0.3" else "address"] == "192.168.50.20/24"
    routes = ip["routes"] if version < "0.3" else result["routes"]
    assert routes == [{"dst": dst, "gw": VIP} for dst in SPLIT]


def test_static(node):
    pod = node.pod("a")
    ipam = {"type": "static", "addresses": [{"address": "192.168.50.33/24", "gateway": VIP}],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.77.0.0/16", "gw": "192.168.50.254"}],
            "dns": {"nameservers": ["10.96.0.10"], "search": ["cluster.local"]}}
    result = add(node, pod, "c1", node.conf(ipam=ipam))
    assert pod.addresses("net1") == ["192.168.50.33/24"]
    assert ("unicast", "10.77.0.0/16", "192.168.50.254", "net1", None) in pod.routes()
    assert pod.ip("route", "show", "default")[0]["dev"] == "eth0"
    assert {"dst": "10.77.0.0/16", "gw": "192.168.50.254"} in result["routes"]
    assert not [r for r in result["routes"] if r["dst"] == "0.0.0.0/0"]
    assert result["dns"] == ipam["dns"]


def test_dns_of_the_configuration_is_the_more_specific(node):
    ipam = {"type": "static", "addresses": [{"address": "192.168.50.33/24"}],
            "dns": {"nameservers": ["10.96.0.10"]}}
    result = add(node, node.pod("a"), "c1", node.conf(ipam=ipam, dns={"domain": "vpn"}))
    assert result["dns"] == {"domain": "vpn"}


@pytest.mark.parametrize("role", ["router", "sync"])
def test_other_roles(node, role):
    pod = node.pod("a")
    ipam = {"type": "static", "routes": [{"dst": "172.30.0.0/16"}],
            "addresses": [{"address": "192.168.51.9/24", "gateway": "192.168.51.1"}]}
    conf = node.conf(role, subnet="192.168.51.0/24", vip=None, ipam=ipam)
    result = add(node, pod, "c1", conf, ifname="sync")
    assert pod.addresses("sync") == ["192.168.51.9/24"]
    assert result["routes"] == [{"dst": "172.30.0.0/16", "gw": "192.168.51.1"}]
    assert ("unicast", "172.30.0.0/16", "192.168.51.1", "sync", None) in pod.routes()


@pytest.mark.parametrize("conf,env", [
    ({}, {"CNI_ARGS": "IgnoreUnknown=1;IP=192.168.50.22;IP=192.168.50.22"}),
    ({"runtimeConfig": {"ips": ["192.168.50.22/24"]}}, {}),
    ({"args": {"cni": {"ips": ["192.168.50.22"]}}}, {}),
])
def test_requests_reach_the_delegate(node, conf, env):
    pod = node.pod("a")
    add(node, pod, "c1", node.conf(ipam=host_local(node), **conf), **env)
    assert pod.addresses("net1") == ["192.168.50.22/24"]


def test_full_delegate(node):
    conf = node.conf(ipam=host_local(node, last="192.168.50.20"))
    add(node, node.pod("a"), "c1", conf)
    pod = node.pod("b")
    code, details = refused(node, pod, conf, "c2")
    assert code == 999 and details.startswith("ipam host-local: ") and "no IP addresses" in details
    assert held(node) == {"192.168.50.20": ("c1", "net1")} and "net1" not in pod.links()


def test_second_add_does_not_cost_the_first_one_its_address(node):
    pod, other = node.pod("a"), node.pod("b")
    conf = node.conf(ipam=host_local(node))
    add(node, pod, "c1", conf)
    before = node.ports().keys(), pod.links().keys(), held(node)
    assert refused(node, pod, conf)[0] == 103
    assert refused(node, other, conf)[0] == 103
    assert (node.ports().keys(), pod.links().keys(), held(node)) == before
    assert "net1" not in other.links()


# --- what fails after the delegate has given its address ---

def test_address_that_a_client_cannot_have(node):
    pod = node.pod("a")
    for first, why in ((VIP, "which is the VIP"), ("192.168.77.5", "not an address for a host")):
        subnet = first.rsplit(".", 1)[0] + ".0/24"
        ipam = host_local(node)
        ipam["ranges"] = [[{"subnet": subnet, "rangeStart": first, "rangeEnd": first,
                            "gateway": subnet.replace("0/24", "9")}]]
        code, details = refused(node, pod, node.conf(ipam=ipam))
        assert code == 7 and details == f"ipam host-local: gave {first}, {why}" + \
            (" in 192.168.50.0/24" if "host" in why else "")
        assert_nothing_left(node, pod)


def test_route_around_the_tunnels(node):
    pod = node.pod("a")
    ipam = host_local(node, routes=[{"dst": "8.0.0.0/8", "gw": "192.168.50.1"}])
    code, details = refused(node, pod, node.conf(ipam=ipam))
    assert code == 7 and "8.0.0.0/8" in details and "the VIP alone" in details
    assert_nothing_left(node, pod)


def test_bridge_missing(node):
    pod = node.pod("a")
    node.agent("ip", "link", "delete", "br-vpn")
    assert refused(node, pod, node.conf(ipam=host_local(node)))[0] == 11
    assert_nothing_left(node, pod)


def test_route_in_the_way(node):
    pod = node.pod("a")
    ipam = host_local(node, routes=[{"dst": "10.9.0.0/16"}])
    pod("ip", "route", "add", "default", "via", "10.244.0.1", "table", "187")
    code, details = refused(node, pod, node.conf(ipam=ipam))
    assert code == 5 and "0.0.0.0/0" in details
    pod("ip", "route", "delete", "default", "table", "187")
    assert_nothing_left(node, pod)


# --- how it is called, and what it may answer ---

ANSWER = json.dumps({"cniVersion": "1.0.0", "ips": [{"address": "192.168.50.44/24"}]})


def test_input_and_environment(node, fake):
    fake.says(ANSWER)
    conf = node.conf(ipam={"type": "fake", "key": ["of", "its", "own"]}, other="ß")
    add(node, node.pod("a"), "c1", conf, path=f"/nowhere:{fake.directory}:{DEBIAN}",
        CNI_ARGS="A=b", TRACEPARENT="x")
    assert fake.calls() == ["ADD"]
    assert (fake.directory / "input.ADD").read_text() == json.dumps(conf)
    env = (fake.directory / "env.ADD").read_text().splitlines()
    for line in ("CNI_COMMAND=ADD", "CNI_CONTAINERID=c1", "CNI_IFNAME=net1", "CNI_ARGS=A=b",
                 "TRACEPARENT=x"):
        assert env.count(line) == 1, line


def test_delegate_that_fails_is_told_to_delete(node, fake):
    fake.says('{"code": 11, "msg": "not yet", "details": "in a moment"}', 1)
    pod = node.pod("a")
    conf = node.conf(ipam={"type": "fake"})
    assert refused(node, pod, conf, path=str(fake.directory)) == \
        (11, "ipam fake: not yet: in a moment")
    assert fake.calls() == ["ADD", "DEL"]
    assert (fake.directory / "input.DEL").read_text() == json.dumps(conf)
    assert_nothing_left(node, pod)


@pytest.mark.parametrize("script,code,words", [
    ("echo rubbish", 6, "its answer:1: "),
    ("true", 6, "its answer:1: "),
    ("echo '{}'", 7, "gave no address"),
    ("echo '[]'", 6, "must be an object"),
    ("""echo '{"cniVersion":"7.7.7","ips":[]}'""", 6, "is no version"),
    ("echo rubbish; exit 1", 5, "did not say why: rubbish"),
    ("kill -9 $$", 5, "killed by signal 9"),
    ("yes", 5, "longer than 1048576 bytes"),
    ("""echo '{"ips":[{"address":"192.168.50.44/24","interface":0}]}'""", 6, "interface 0 of 0"),
])
def test_delegate_that_makes_no_sense(node, fake, script, code, words):
    fake.runs(f'[ "$CNI_COMMAND" = DEL ] || {{ {script}; }}')
    pod = node.pod("a")
    got, details = refused(node, pod, node.conf(ipam={"type": "fake"}), path=str(fake.directory))
    assert got == code and details.startswith("ipam fake: ") and words in details
    assert fake.calls() == ["ADD", "DEL"]
    assert_nothing_left(node, pod)


@pytest.mark.parametrize("kind,path,code,words", [
    ("host-local", "", 4, "CNI_PATH"),
    ("nothing", DEBIAN, 7, "ipam nothing: not found in CNI_PATH (/usr/lib/cni)"),
    ("host-local", "::/nowhere", 7, "not found"),
    ("byway", str(BUILD), 7, "is this plugin"),
    ("../cni/host-local", DEBIAN, 7, "ipam.type: \"../cni/host-local\" is not the name"),
    ("..", DEBIAN, 7, "is not the name"),
    ("", DEBIAN, 7, "ipam.type: must not be empty"),
])
def test_delegate_that_is_not_there(node, kind, path, code, words):
    pod = node.pod("a")
    got, details = refused(node, pod, node.conf(ipam={"type": kind}), path=path)
    assert got == code and words in details
    assert_nothing_left(node, pod)


def test_directory_of_the_same_name_is_no_plugin(node, fake, tmp_path):
    (tmp_path / "first/fake").mkdir(parents=True)
    fake.says(ANSWER)
    add(node, node.pod("a"), "c1", node.conf(ipam={"type": "fake"}),
        path=f"{tmp_path}/first:{fake.directory}")
