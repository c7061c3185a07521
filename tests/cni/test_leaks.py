"""Whatever a client's pod does, nothing leaves by its primary interface but for the intranet. Real
packets, seen on the other end of eth0, whose network answers every ARP request, as those of some CNI
plugins do."""
import ipaddress
import json
import pathlib
import subprocess
import sys
import time

import pytest

from node import VIP
from probes import FIRST_PORT, MARKER, PROBES

PROGRAM = str(pathlib.Path(__file__).with_name("probes.py"))
INTRANET = [ipaddress.ip_network(p) for p in ("10.0.0.0/8", "fc00::/7", "fe80::/10", "ff00::/8")]
NAMES = {FIRST_PORT + i: name for i, (name, _) in enumerate(PROBES)}
# More specific than the split, and on-link ones, which a socket may insist on.
SPECIFIC = [("-4", "203.0.113.0/24", "via", "10.244.0.1"), ("-4", "203.0.113.1/32", "via", "10.244.0.1"),
            ("-4", "198.51.100.0/24", "dev", "eth0"), ("-6", "2001:db8::/32", "via", "fd00::1")]
HALVES = [("-4", "0.0.0.0/1", "via", "10.244.0.1"), ("-4", "128.0.0.0/1", "via", "10.244.0.1"),
          ("-6", "::/1", "via", "fd00::1"), ("-6", "2000::/4", "via", "fd00::1")]


class Tap:
    """What arrives at an interface."""

    def __init__(self, namespace, ifname):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            ["nsenter", f"--net={namespace.path}", sys.executable, PROGRAM, "--tap", ifname],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def take(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return [tuple(p) for p in json.loads(self.process.stdout.readline()) if p]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class World:
    """A pod on a primary network that takes everything."""

    def __init__(self, node):
        self.outside, self.pod = node.namespace("world"), node.namespace("pod")
        out, pod = self.outside, self.pod
        out("ip", "link", "add", "gw", "type", "veth", "peer", "name", "eth0", "netns", pod.name)
        out("ip", "link", "add", "out", "type", "veth", "peer", "name", "internet")
        for key, value in (("ipv4.ip_forward", 1), ("ipv4.conf.gw.proxy_arp", 1),
                           ("ipv4.neigh.gw.proxy_delay", 0), ("ipv4.conf.all.rp_filter", 0),
                           ("ipv4.conf.gw.rp_filter", 0)):
            out("sysctl", "-qw", f"net.{key}={value}")
        for link in ("lo", "gw", "out", "internet"):
            out("ip", "link", "set", link, "up")
        out("ip", "addr", "add", "10.244.0.1/24", "dev", "gw")
        out("ip", "-6", "addr", "add", "fd00::1/64", "dev", "gw", "nodad")
        out("ip", "route", "add", "default", "dev", "out")
        for link in ("lo", "eth0"):
            pod("ip", "link", "set", link, "up")
        pod("ip", "addr", "add", "10.244.0.5/24", "dev", "eth0")
        pod("ip", "-6", "addr", "add", "fd00::5/64", "dev", "eth0", "nodad")
        self.route(("-4", "default", "via", "10.244.0.1"), ("-6", "default", "via", "fd00::1"))
        self.tap = Tap(out, "gw")

    def route(self, *routes, verb="add"):
        for family, *args in routes:
            self.pod("ip", family, "route", verb, *args)

    def probe(self):
        """Names of the probes that came out; anything else for outside the intranet as it is."""
        self.pod(sys.executable, PROGRAM)
        seen, end = [], time.monotonic() + 10
        while ("ip", *MARKER) not in seen:
            assert time.monotonic() < end, seen
            seen += self.tap.take()
        return self.leaks(seen)

    @staticmethod
    def leaks(seen):
        return {NAMES.get(port, (kind, to)) for kind, to, port in seen
                if not any(ipaddress.ip_address(to) in p for p in INTRANET)}

    def close(self):
        self.tap.close()


@pytest.fixture
def world(node):
    made = World(node)
    yield made
    made.close()


def second(node, pod, container="c1", ifname="net2"):
    """A client's interface on another network of ours."""
    if "br-lan" not in node.agent.links():
        node.agent("ip", "link", "add", "br-lan", "mtu", "1400", "type", "bridge")
        node.agent("ip", "link", "set", "br-lan", "up")
        node.ensure("lan", "client", "192.168.60.1-192.168.60.9")
    return node.add(pod, container, lan_conf(node), ifname=ifname)


def lan_conf(node):
    return node.conf(name="lan", subnet="192.168.60.0/24", vip="192.168.60.240",
                     intranet=["10.0.0.0/8", "203.0.113.0/24"])


def test_every_probe_comes_out_without_us(world):
    """The positive control: neither the probes nor the tap are deaf."""
    world.route(*SPECIFIC)
    everything, end = set(NAMES.values()), time.monotonic() + 10
    seen = world.probe()
    while not everything <= seen and time.monotonic() < end:
        seen |= world.leaks(world.tap.take())  # those that waited for an ARP reply
        time.sleep(0.02)
    assert everything <= seen


def test_nothing_comes_out(node, world):
    node.add(world.pod, "c1")
    assert world.probe() == set()
    assert world.pod.way_to("203.0.113.1") == "net1"
    assert world.pod.way_to("10.1.2.3") == "eth0"
    assert world.pod.way_to("127.0.0.1") == world.pod.way_to("10.244.0.5") == "lo"


@pytest.mark.parametrize("routes", [SPECIFIC, HALVES])
@pytest.mark.parametrize("when", ["before", "after"])
def test_more_specific_routes(node, world, routes, when):
    if when == "before":
        world.route(*routes)
    node.add(world.pod, "c1")
    if when == "after":
        world.route(*routes, verb="replace")
    assert world.probe() == set()
    for address in ("203.0.113.1", "198.51.100.7", "8.8.8.8"):
        assert world.pod.way_to(address) == "net1"
    assert world.pod.way_to("2001:db8::1") is None
    world.pod("ip", "link", "delete", "net1")
    assert world.probe() == set()
    for address in ("203.0.113.1", "198.51.100.7", "8.8.8.8", "192.168.50.240"):
        assert world.pod.way_to(address) is None


@pytest.mark.parametrize("loss", [("link", "set", "net1", "down"), ("link", "delete", "net1"),
                                  ("addr", "flush", "dev", "net1"), None])
def test_after_the_end_of_the_interface(node, world, loss):
    world.route(*SPECIFIC)
    node.add(world.pod, "c1")
    if loss:
        world.pod("ip", *loss)
    else:
        node.delete(world.pod, "c1")
    assert world.probe() == set()
    assert world.pod.way_to("203.0.113.1") is None
    assert world.pod.way_to("10.1.2.3") == "eth0"


def test_default_route_requests(node, world):
    """As Multus carries them out, after ADD, on this interface and on another one."""
    node.add(world.pod, "c1")
    world.route(("-4", "default"), verb="delete")
    world.route(("-4", "default", "via", VIP, "dev", "net1"))
    assert world.probe() == set()
    assert world.pod.way_to("203.0.113.1") == "net1"
    world.route(("-4", "default"), verb="delete")
    world.route(("-4", "default", "via", "10.244.0.1", "dev", "eth0"))
    assert world.probe() == set()
    node.delete(world.pod, "c1")
    assert world.probe() == set()


@pytest.mark.parametrize("when", ["before", "after"])
def test_another_attachment_that_is_not_ours(node, world, when):
    pod = world.pod
    if when == "after":
        node.add(pod, "c1")
    world.outside("ip", "link", "add", "gw2", "type", "veth", "peer", "name", "storage", "netns",
                  pod.name)
    world.outside("ip", "link", "set", "gw2", "up")
    tap = Tap(world.outside, "gw2")
    pod("ip", "link", "set", "storage", "up")
    pod("ip", "addr", "add", "203.0.113.77/24", "dev", "storage")
    pod("ip", "route", "add", "198.51.100.0/24", "dev", "storage")
    if when == "before":
        node.add(pod, "c1")
    try:
        assert world.probe() == set()
        assert world.leaks(tap.take()) == set()
    finally:
        tap.close()
    assert pod.way_to("203.0.113.1") == "net1"


def test_routes_by_a_gateway_outside_the_intranet_can_still_be_added(node, world):
    """Such as 169.254.1.1, which some primary networks use. They lead nowhere."""
    node.add(world.pod, "c1")
    world.route(("-4", "169.254.1.1", "dev", "eth0"),
                ("-4", "203.0.113.0/24", "via", "169.254.1.1", "dev", "eth0"))
    assert world.probe() == set()


def test_rules_that_others_put_first_or_flush(node, world):
    """The seal holds without the guard's table …"""
    world.route(*SPECIFIC)
    node.add(world.pod, "c1")
    for family in ("-4", "-6"):
        world.pod("ip", family, "rule", "add", "pref", "10", "lookup", "main")
    assert world.pod.way_to("203.0.113.1") == "eth0"
    assert world.probe() == set()
    for family in ("-4", "-6"):
        world.pod("ip", family, "rule", "flush")
        world.pod("ip", family, "rule", "add", "pref", "32766", "lookup", "main")
    assert world.probe() == set()


def test_a_flushed_ruleset(node, world):
    """… and the guard's table without the seal, but for sockets that insist on eth0."""
    world.route(*SPECIFIC)
    node.add(world.pod, "c1")
    world.pod("nft", "flush", "ruleset")
    assert not [name for name in world.probe() if isinstance(name, str) and "," not in name and
                name != "dont route"]


def test_seal_as_nftables_shows_it(node, world):
    node.add(world.pod, "c1", node.conf(intranet=["10.0.0.0/8", "192.0.2.128/25", "fd00::/8",
                                                  "2001:db8:1::/48"]))
    listing = world.pod("nft", "list", "table", "inet", "byway").stdout
    lines = [line.strip() for line in listing.splitlines()]
    assert lines.pop(1).startswith('comment "seal ')
    assert lines == [
        "table inet byway {", "chain guard {",
        "type filter hook postrouting priority filter; policy drop;",
        'oif "lo" accept', "oifgroup 187 accept", "ip6 daddr ::/3 accept",
        "ip6 daddr 4000::/2 accept", "ip6 daddr 8000::/1 accept", "ip daddr 10.0.0.0/8 accept",
        "ip daddr 192.0.2.128/25 accept", "ip6 daddr fd00::/8 accept",
        "ip6 daddr 2001:db8:1::/48 accept", "}", "}"]


def test_long_intranet(node, world):
    """More prefixes than one transaction takes."""
    intranet = ["10.0.0.0/8"] + [f"172.{16 + i // 128}.{2 * (i % 128)}.0/24" for i in range(250)]
    node.add(world.pod, "c1", node.conf(intranet=intranet))
    listing = world.pod("nft", "list", "table", "inet", "byway").stdout
    assert listing.count("ip daddr") == 251
    assert world.probe() == set()
    assert world.pod.way_to(intranet[-1].replace(".0/24", ".1")) == "eth0"


# --- IPv6 prefixes in the intranet ---

def test_ipv6_intranet(node, world):
    world.route(("-6", "2001:db8::/32", "via", "fd00::1"))
    node.add(world.pod, "c1", node.conf(intranet=["10.0.0.0/8", "2001:db8::/48"]))
    assert {name for name in world.probe() if "6" in name} == {n for n in NAMES.values() if "6" in n}
    assert world.pod.way_to("2001:db8::1") == "eth0"
    assert world.pod.way_to("2001:db8:1::1") is None
    assert world.pod.way_to("2a00::1") is None


# --- guards that are there already ---

def guard(pod):
    """Routes and rules of the guard, and of the main table those that outlive an interface."""
    return {(table, family, kind, dst) for family in ("-4", "-6") for table in ("187", "main")
            for kind, dst, _, dev, _ in pod.table_routes(table, family)
            if table == "187" or kind == "unreachable"}


def test_guard_follows_a_new_configuration(node, world):
    world.route(*SPECIFIC)
    node.add(world.pod, "c1", node.conf(intranet=["10.0.0.0/8", "203.0.113.0/24", "2001:db8::/32"]))
    assert world.pod.way_to("203.0.113.1") == "eth0"
    node.delete(world.pod, "c1")
    node.add(world.pod, "c2")
    assert world.probe() == set()
    assert world.pod.way_to("203.0.113.1") == "net1"
    fresh = node.pod("fresh")
    node.add(fresh, "c3")
    assert guard(world.pod) == guard(fresh)
    assert world.pod("nft", "list", "ruleset").stdout == fresh("nft", "list", "ruleset").stdout
    assert len(world.pod.ip("rule", "show", "pref", "100")) == 1
    # What is as wanted is not made again.
    handles = world.pod("nft", "-a", "list", "ruleset").stdout
    node.delete(world.pod, "c2")
    node.add(world.pod, "c4")
    assert world.pod("nft", "-a", "list", "ruleset").stdout == handles


def test_second_network_keeps_the_way_out_by_the_first(node, world):
    pod = world.pod
    world.route(*SPECIFIC)
    node.add(pod, "c1")
    before = guard(pod)
    result = second(node, pod)
    assert result["ips"][0]["address"] == "192.168.60.1/24" and result["routes"] == []
    assert guard(pod) - before == {("187", "-4", "unicast", "192.168.60.0/24")}
    # The intranet of the second network is wider, and does not count.
    assert pod.way_to("203.0.113.1") == pod.way_to("192.168.50.240") == "net1"
    assert pod.way_to("192.168.60.240") == "net2"
    assert world.probe() == set()
    # Without the first there is no way out until it comes back.
    node.delete(pod, "c1")
    assert pod.way_to("203.0.113.1") is None and pod.way_to("192.168.60.240") == "net2"
    assert world.probe() == set()
    node.add(pod, "c1")
    assert pod.way_to("203.0.113.1") == "net1" and pod.way_to("192.168.60.240") == "net2"
    assert world.probe() == set()
    node.delete(pod, "c1", lan_conf(node), ifname="net2")
    assert pod.way_to("203.0.113.1") == "net1" and pod.way_to("192.168.60.240") == "net1"


def test_same_network_twice(node, world):
    node.add(world.pod, "c1")
    assert node.add(world.pod, "c1", ifname="net2")["routes"] == []
    assert world.probe() == set()
    assert world.pod.way_to("203.0.113.1") == world.pod.way_to(VIP) == "net1"


def test_failed_second_add_leaves_the_first_alone(node, world):
    pod = world.pod
    node.add(pod, "c1")
    before = (guard(pod), pod("nft", "list", "ruleset").stdout, pod.ip("rule"))
    second(node, pod)
    node.delete(pod, "c1", lan_conf(node), ifname="net2")
    with open("/dev/full", "w", encoding="ascii") as full:
        process = node.start("ADD", pod, "c1", lan_conf(node), ifname="net2", stdout=full)
        assert process.wait(10) == 1
        process.stderr.close()
    assert (guard(pod), pod("nft", "list", "ruleset").stdout, pod.ip("rule")) == before
    assert world.probe() == set()


@pytest.mark.parametrize("role", ["sync", "gateway"])
def test_other_roles_have_no_guard(node, role):
    pod = node.pod("a")
    before = (pod.ip("rule"), pod.ip("rule", family="-6"))
    node.add(pod, "c1", node.conf(role, **({"subnet": None, "vip": None} if role == "gateway" else {})))
    assert (pod.ip("rule"), pod.ip("rule", family="-6")) == before
    assert pod("nft", "list", "ruleset").stdout == ""
