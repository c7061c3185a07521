"""What a client can reach: the VIP. Tried from inside a client's pod with raw sockets, while every other
port of the network on two nodes is captured; the bridges are byway-node's, the ports the CNI plugin's."""
import itertools
import json
import os
import signal
import socket
import subprocess
import time

import pytest
from frames import (ARP, BROADCAST, IPV4, IPV6, Wire, arp, ether, ipv4, ipv6, mac_of, tagged, udp)
from nodes import BUILD, CLIENT, SERVER, Pair, answered, wait_for

VIP, ROUTER, STANDBY = "192.168.50.240", "192.168.50.241", "192.168.50.242"
EXIT, OTHER_EXIT = "192.168.50.248", "192.168.50.249"
OWN, NEIGHBOUR, REMOTE = "192.168.50.1", "192.168.50.2", "192.168.50.120"
SYNC = "192.168.51.1"
INTERNET = "203.0.113.9"
ME, GATE = mac_of(OWN), mac_of(VIP)
NOBODY = "00:00:00:00:00:00"

# Who has a port on the network: name → (node, role, address).
PODS = {"c1": ("a", "client", OWN), "c2": ("a", "client", NEIGHBOUR), "r1": ("a", "gateway", ROUTER),
        "g1": ("a", "gateway", EXIT), "c3": ("b", "client", REMOTE), "r2": ("b", "gateway", STANDBY),
        "g2": ("b", "gateway", OTHER_EXIT)}


class Pod:
    """A network namespace, wired by the CNI plugin. Routers and gateways, which differ here only in their
    address, get it by hand."""

    def __init__(self, node, name, role, address):
        self.node, self.name, self.role, self.address = node, name, role, address
        self.path = f"/proc/{node.holder.pid}/root/run/netns/{name}"
        node("ip", "netns", "add", name)
        self("ip", "link", "set", "lo", "up")
        self.add()
        if role == "gateway":
            self("ip", "link", "set", "net1", "address", mac_of(address))
            self("ip", "addr", "add", f"{address}/24", "dev", "net1")
        self.wire = Wire(self.path, "net1")

    def command(self, *command):
        return ["nsenter", f"--net={self.path}", *command]

    def __call__(self, *command):
        return subprocess.run(self.command(*command), check=True, capture_output=True, text=True).stdout

    def cni(self, verb, check=True):
        conf = {"cniVersion": "1.0.0", "name": "vpn", "type": "byway", "role": self.role,
                "subnet": "192.168.50.0/24", "vip": VIP}
        environment = [f"CNI_COMMAND={verb}", f"CNI_CONTAINERID={self.name}", "CNI_IFNAME=net1",
                       f"CNI_NETNS=/run/netns/{self.name}", "CNI_PATH=/opt/cni/bin"]
        done = subprocess.run(self.node.enter("env", *environment, str(BUILD / "byway")), text=True,
                              input=json.dumps(conf), capture_output=True, check=False)
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout

    def add(self):
        result = json.loads(self.cni("ADD"))
        if self.address and self.role == "client":
            assert result["ips"][0]["address"] == f"{self.address}/24"

    def port(self):
        return next(link["ifname"] for link in self.node.links().values()
                    if link.get("ifalias", "").startswith(f"byway {self.name}/"))

    def neighbours(self):
        """Address → MAC of those that are known."""
        return {n["dst"]: n["lladdr"] for n in json.loads(self("ip", "-j", "neigh", "show"))
                if "lladdr" in n}


class Network:
    """Two nodes and their pods. r1 holds the VIP as a router does: on a macvlan with the VIP's MAC."""

    def __init__(self, directory):
        self.pair = Pair(f"iso{os.getpid()}", directory)
        self.pods, self.children = {}, []
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        for node, first, last in ((self.pair.a, OWN, "192.168.50.99"),
                                  (self.pair.b, REMOTE, "192.168.50.199")):
            node.write(networks=networks(f"{first}-{last}"))
            node.start()
            # Where br_netfilter is there it drops malformed IPv4 before anybody else can.
            inside(node, "sh", "-c", "cd /proc/sys/net/bridge && echo 0 >bridge-nf-call-iptables",
                      check=False)
        for name, (node, role, address) in PODS.items():
            self.pods[name] = Pod(getattr(self.pair, node), name, role, address)
        self["r1"]("ip", "link", "add", "vip", "address", GATE, "link", "net1", "type", "macvlan", "mode",
                   "private")
        self["r1"]("ip", "addr", "add", f"{VIP}/32", "dev", "vip")
        self["r1"]("ip", "link", "set", "vip", "up")
        self.heal()
        self.spawn("r1", "python3", "-c", SERVER.replace('""', f'"{VIP}"'))
        wait_for(lambda: self.asked("c1", count=1) == 1 and self.asked("c3", count=1) == 1, "an echo")

    def __getitem__(self, name):
        return self.pods[name]

    def spawn(self, pod, *command):
        self.children.append(subprocess.Popen(self[pod].command(*command), stdout=subprocess.PIPE))
        return self.children[-1]

    def ask(self, pod, count=5, gap=0.01):
        return self.spawn(pod, "python3", "-c", CLIENT, VIP, "100", str(count), str(gap))

    def asked(self, pod, **kwargs):
        return answered(self.ask(pod, **kwargs))

    def heal(self):
        """The bridges learn where routers and gateways are, whatever they were told before."""
        for pod in self.pods.values():
            if pod.role == "gateway":
                mac, address = mac_of(pod.address), pod.address
                pod.wire.send(ether(BROADCAST, mac, ARP, arp(1, mac, address, NOBODY, address)))
        self["r1"].wire.send(ether(BROADCAST, GATE, ARP, arp(1, GATE, VIP, NOBODY, VIP)))

    def seen(self, source, frame, patience=0.05):
        """Who sees a frame that `source` sends: names, sorted."""
        for pod in self.pods.values():
            pod.wire.taken()
        self[source].wire.send(frame)
        time.sleep(patience)
        # The kernel pads nothing on a veth; a tag stands beside the frame.
        body = frame[14:] if len(frame) > 14 else frame
        return sorted(name for name, pod in self.pods.items()
                      if name != source and any(body in got or without_tag(frame) == got
                                                for got in pod.wire.taken()))

    def vip_ports(self):
        """Where each bridge has the VIP's MAC."""
        return [[entry["ifname"] for entry in json.loads(
            node("bridge", "-j", "-n", "byway", "fdb", "show", "br", "br-vpn").stdout)
            if entry["mac"] == GATE] for node in (self.pair.a, self.pair.b)]

    def close(self):
        for child in self.children:
            child.kill()
            child.communicate()
        for pod in self.pods.values():
            pod.wire.close()
        self.pair.close()


def inside(node, *command, **kwargs):
    """In the agent's namespace."""
    return node("ip", "netns", "exec", "byway", *command, **kwargs)


def networks(clients):
    return [{"name": "vpn", "vni": 7950, "mtu": 1400, "subnet": "192.168.50.0/24", "vip": VIP,
             "leases": [{"role": "client", "range": clients}]},
            {"name": "sync", "vni": 7951, "subnet": "192.168.51.0/24"}]


def without_tag(frame):
    return frame[:12] + frame[16:]


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    made = Network(tmp_path_factory.mktemp("isolation"))
    yield made
    made.close()


# --- frames ---

def to_vip(payload, src=ME, kind=IPV4):
    return ether(GATE, src, kind, payload)


def asks(dst, sender_mac, sender, target, src=ME):
    return ether(dst, src, ARP, arp(1, sender_mac, sender, NOBODY, target))


def says(dst, sender_mac, sender, target_mac, target, src=ME):
    return ether(dst, src, ARP, arp(2, sender_mac, sender, target_mac, target))


ADVERTISEMENT = bytes.fromhex("86000000400000070800000000000000") + b"\0" * 16
LLC = b"\x42\x42\x03" + b"\0" * 35
GOOD = udp(OWN, INTERNET)

# What a client must not get through, each sent by c1.
FORBIDDEN = {
    # by L2
    "client on the node": ether(mac_of(NEIGHBOUR), ME, IPV4, udp(OWN, NEIGHBOUR)),
    "client on the other node": ether(mac_of(REMOTE), ME, IPV4, udp(OWN, REMOTE)),
    "router": ether(mac_of(ROUTER), ME, IPV4, udp(OWN, ROUTER)),
    "router on the other node": ether(mac_of(STANDBY), ME, IPV4, udp(OWN, STANDBY)),
    "router's MAC, the VIP's address": ether(mac_of(ROUTER), ME, IPV4, udp(OWN, VIP)),
    "exit": ether(mac_of(EXIT), ME, IPV4, udp(OWN, EXIT)),
    "exit on the other node": ether(mac_of(OTHER_EXIT), ME, IPV4, udp(OWN, OTHER_EXIT)),
    "exit as gateway": ether(mac_of(EXIT), ME, IPV4, udp(OWN, INTERNET)),
    "unknown MAC": ether("02:bb:01:02:03:04", ME, IPV4, udp(OWN, INTERNET)),
    "broadcast": ether(BROADCAST, ME, IPV4, udp(OWN, "255.255.255.255")),
    "broadcast MAC, the VIP's address": ether(BROADCAST, ME, IPV4, udp(OWN, VIP)),
    "multicast": ether("01:00:5e:00:00:01", ME, IPV4, udp(OWN, "224.0.0.1")),
    # by L3, through the VIP
    "client by the VIP": to_vip(udp(OWN, NEIGHBOUR)),
    "remote client by the VIP": to_vip(udp(OWN, REMOTE)),
    "router by the VIP": to_vip(udp(OWN, ROUTER)),
    "exit by the VIP": to_vip(udp(OWN, EXIT)),
    "ping of an exit by the VIP": to_vip(ipv4(OWN, EXIT, b"\x08\0\xf7\xff\0\0\0\0", 1)),
    "sync network by the VIP": to_vip(udp(OWN, SYNC)),
    "subnet's broadcast by the VIP": to_vip(udp(OWN, "192.168.50.255")),
    "broadcast by the VIP": to_vip(udp(OWN, "255.255.255.255")),
    "multicast by the VIP": to_vip(udp(OWN, "224.0.0.18")),
    # another MAC
    "MAC of a client": to_vip(GOOD, src=mac_of(NEIGHBOUR)),
    "MAC of a remote client": to_vip(GOOD, src=mac_of(REMOTE)),
    "MAC of the VIP": ether(BROADCAST, GATE, IPV4, GOOD),
    "MAC of a router": to_vip(GOOD, src=mac_of(ROUTER)),
    "MAC of nobody": to_vip(GOOD, src="02:11:22:33:44:55"),
    # another address
    "address of a client": to_vip(udp(NEIGHBOUR, INTERNET)),
    "address of a remote client": to_vip(udp(REMOTE, INTERNET)),
    "address of the VIP": to_vip(udp(VIP, INTERNET)),
    "address of a router": to_vip(udp(ROUTER, VIP)),
    "address of the internet": to_vip(udp("8.8.8.8", INTERNET)),
    "no address": to_vip(udp("0.0.0.0", INTERNET)),
    "address and MAC of a client": to_vip(udp(NEIGHBOUR, INTERNET), src=mac_of(NEIGHBOUR)),
    # ARP
    "ARP for a client": asks(BROADCAST, ME, OWN, NEIGHBOUR),
    "ARP for a remote client": asks(BROADCAST, ME, OWN, REMOTE),
    "ARP for a router": asks(BROADCAST, ME, OWN, ROUTER),
    "ARP for an exit": asks(BROADCAST, ME, OWN, EXIT),
    "ARP for the VIP, to a router": asks(mac_of(STANDBY), ME, OWN, VIP),
    "ARP for the VIP, another's address": asks(BROADCAST, ME, NEIGHBOUR, VIP),
    "ARP for the VIP, another's MAC": asks(BROADCAST, mac_of(NEIGHBOUR), OWN, VIP),
    "ARP for the VIP, broadcast as MAC": asks(BROADCAST, BROADCAST, OWN, VIP),
    "ARP for the VIP, another's source": asks(BROADCAST, ME, OWN, VIP, src=mac_of(NEIGHBOUR)),
    "ARP probe": asks(BROADCAST, ME, "0.0.0.0", OWN),
    "ARP probe for the VIP": asks(BROADCAST, ME, "0.0.0.0", VIP),
    "gratuitous ARP for itself": asks(BROADCAST, ME, OWN, OWN),
    "gratuitous ARP for the VIP": asks(BROADCAST, ME, VIP, VIP),
    "gratuitous ARP for the VIP, its MAC": asks(BROADCAST, GATE, VIP, VIP, src=GATE),
    "gratuitous ARP reply for the VIP": says(BROADCAST, ME, VIP, BROADCAST, VIP),
    "ARP reply for the VIP to a client": says(mac_of(REMOTE), ME, VIP, mac_of(REMOTE), REMOTE),
    "ARP reply for the VIP to a router": says(mac_of(STANDBY), ME, VIP, mac_of(STANDBY), STANDBY),
    "ARP reply for an exit to the VIP": says(GATE, ME, EXIT, GATE, VIP),
    "ARP reply for itself nobody asked for": says(mac_of(EXIT), ME, OWN, mac_of(EXIT), EXIT),
    "ARP reply to a client": says(mac_of(NEIGHBOUR), ME, OWN, mac_of(NEIGHBOUR), NEIGHBOUR),
    "ARP reply to all": says(BROADCAST, ME, OWN, BROADCAST, OWN),
    "RARP operation": ether(BROADCAST, ME, ARP, arp(3, ME, OWN, ME, VIP)),
    "inverse ARP": ether(BROADCAST, ME, ARP, arp(8, ME, OWN, ME, VIP)),
    "ARP of other lengths": ether(BROADCAST, ME, ARP, arp(1, ME, OWN, NOBODY, VIP, (1, IPV4, 8, 4))),
    "ARP of another network": ether(BROADCAST, ME, ARP, arp(1, ME, OWN, NOBODY, VIP, (6, IPV4, 6, 4))),
    "truncated ARP": ether(BROADCAST, ME, ARP, arp(1, ME, OWN, NOBODY, VIP)[:20]),
    # IPv6
    "router advertisement": ether("33:33:00:00:00:01", ME, IPV6, ipv6("ff02::1", ADVERTISEMENT, 58)),
    "router advertisement to the VIP": to_vip(ipv6("ff02::1", ADVERTISEMENT, 58), kind=IPV6),
    "neighbour solicitation": ether("33:33:ff:00:00:01", ME, IPV6, ipv6("ff02::1:ff00:1", b"\x87" * 24,
                                                                        58)),
    "IPv6 to the VIP": to_vip(ipv6("2001:db8::1"), kind=IPV6),
    # DHCP
    "DHCP discover": ether(BROADCAST, ME, IPV4, udp("0.0.0.0", "255.255.255.255", 68, 67, b"\1" * 240)),
    "DHCP discover, own address": ether(BROADCAST, ME, IPV4, udp(OWN, "255.255.255.255", 68, 67)),
    "DHCP request by the VIP": to_vip(udp(OWN, INTERNET, 68, 67, b"\1" * 240)),
    "DHCP request to the VIP": to_vip(udp(OWN, VIP, 68, 67, b"\1" * 240)),
    "DHCP offer": ether(BROADCAST, ME, IPV4, udp(OWN, "255.255.255.255", 67, 68, b"\2" * 240)),
    # VLAN tags around what would pass
    "priority tag": tagged(to_vip(GOOD), (0x8100, 0)),
    "VLAN 1": tagged(to_vip(GOOD), (0x8100, 1)),
    "VLAN 100": tagged(to_vip(GOOD), (0x8100, 100)),
    "VLAN 100, ARP": tagged(asks(BROADCAST, ME, OWN, VIP), (0x8100, 100)),
    "service tag": tagged(to_vip(GOOD), (0x88a8, 100)),
    "two tags": tagged(to_vip(GOOD), (0x88a8, 100), (0x8100, 200)),
    "two tags of one kind": tagged(to_vip(GOOD), (0x8100, 1), (0x8100, 1)),
    # other protocols
    "BPDU": ether("01:80:c2:00:00:00", ME, len(LLC), LLC),
    "BPDU of PVST": ether("01:00:0c:cc:cc:cd", ME, 40, b"\xaa\xaa\x03\0\0\x0c\x01\x0b" + b"\0" * 32),
    "RARP": ether(BROADCAST, ME, 0x8035, arp(3, ME, OWN, ME, OWN)),
    "experimental": to_vip(b"\0" * 46, kind=0x88b5),
    "PPPoE discovery": ether(BROADCAST, ME, 0x8863, b"\x11\x09\0\0\0\0" + b"\0" * 40),
    "MPLS": to_vip(b"\0\0\x11\xff" + GOOD, kind=0x8847),
    "IPv4 in LLC": to_vip(b"\xaa\xaa\x03\0\0\0\x08\0" + GOOD, kind=8 + len(GOOD)),
    "truncated IPv4": to_vip(GOOD[:10]),
    "IPv4 without destination": to_vip(GOOD[:17]),
}
# Seen by nobody, wherever they come from: to clients' ports that let nothing in but what is theirs, or
# kept by the bridge.
UNSEEN = {
    "client's MAC, the internet's address": ether(mac_of(NEIGHBOUR), ME, IPV4, udp(OWN, INTERNET)),
    "ARP for the VIP, to a client": asks(mac_of(NEIGHBOUR), ME, OWN, VIP),
    "DHCP offer to a client": ether(mac_of(NEIGHBOUR), ME, IPV4, udp(OWN, NEIGHBOUR, 67, 68)),
    "MAC of the VIP to the VIP": to_vip(GOOD, src=GATE),
    "truncated IPv4 to a client": ether(mac_of(NEIGHBOUR), ME, IPV4, udp(OWN, NEIGHBOUR)[:18]),

    "pause": ether("01:80:c2:00:00:01", ME, 0x8808, b"\0\1\xff\xff" + b"\0" * 42),
    "LACP": ether("01:80:c2:00:00:02", ME, 0x8809, b"\1\1" + b"\0" * 44),
    "EAPOL": ether("01:80:c2:00:00:03", ME, 0x888e, b"\1\1\0\0" + b"\0" * 42),
    "LLDP": ether("01:80:c2:00:00:0e", ME, 0x88cc, b"\2\7\4" + b"\0" * 43),
    "LLDP from the VIP's MAC": ether("01:80:c2:00:00:0e", GATE, 0x88cc, b"\2\7\4" + b"\0" * 43),
    "EAPOL from the VIP's MAC": ether("01:80:c2:00:00:03", GATE, 0x888e, b"\1\1\0\0" + b"\0" * 42),
    "BPDU from the VIP's MAC": ether("01:80:c2:00:00:00", GATE, len(LLC), LLC),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_client_cannot_send(net, name):
    before = net.vip_ports()
    assert net.seen("c1", FORBIDDEN[name]) == []
    assert net.vip_ports() == before
    # The same frame from a port that is no client's is seen: the captures work.
    witnesses = net.seen("g1", FORBIDDEN[name]) or net.seen("g2", FORBIDDEN[name])
    net.heal()
    assert witnesses


@pytest.mark.parametrize("name", UNSEEN)
def test_client_cannot_send_what_nobody_may(net, name):
    before = net.vip_ports()
    assert net.seen("c1", UNSEEN[name]) == []
    assert net.vip_ports() == before


@pytest.mark.parametrize("name,frame,others", [
    ("the VIP", to_vip(udp(OWN, VIP)), []),
    ("the internet", to_vip(GOOD), []),
    ("a fragment", to_vip(ipv4(OWN, INTERNET, b"x" * 16, fragment=0x2010)), []),
    ("ARP for the VIP", asks(BROADCAST, ME, OWN, VIP), ["g1", "g2", "r2"]),
    ("ARP to the VIP", asks(GATE, ME, OWN, VIP), []),
], ids=lambda value: value if isinstance(value, str) else "")
def test_client_reaches_the_vip(net, name, frame, others):
    net.heal()
    assert net.seen("c1", frame) == sorted(["r1", *others])


def test_client_talks_with_the_vip_from_nothing(net):
    """Both sides ask by ARP: the client for the VIP, the router, with its own address, for the client."""
    for pod in ("c1", "c3", "r1"):
        net[pod]("ip", "neigh", "flush", "all")
    assert net.asked("c1") == net.asked("c3") == 5
    assert net["r1"].neighbours()[OWN] == ME
    assert net["c1"].neighbours()[VIP] == GATE


def test_client_answers_who_asks(net):
    """A reply passes to the one that asked, for a while, and to no other."""
    reply = says(mac_of(STANDBY), ME, OWN, mac_of(STANDBY), STANDBY)
    net["r2"].wire.send(ether(BROADCAST, mac_of(STANDBY), ARP,
                              arp(1, mac_of(STANDBY), STANDBY, NOBODY, OWN)))
    time.sleep(0.05)
    assert net.seen("c1", reply) == ["r2"]
    for other in (says(mac_of(OTHER_EXIT), ME, OWN, mac_of(OTHER_EXIT), OTHER_EXIT),
                  says(mac_of(OTHER_EXIT), ME, OWN, mac_of(STANDBY), STANDBY),
                  says(mac_of(STANDBY), ME, OWN, mac_of(OTHER_EXIT), OTHER_EXIT),
                  says(mac_of(STANDBY), ME, NEIGHBOUR, mac_of(STANDBY), STANDBY)):
        assert net.seen("c1", other) == []
    assert net.seen("c2", says(mac_of(STANDBY), mac_of(NEIGHBOUR), NEIGHBOUR, mac_of(STANDBY), STANDBY,
                               src=mac_of(NEIGHBOUR))) == []
    wait_for(lambda: net.seen("c1", reply) == [], "the end of the permission")


TO_CLIENT = {
    "IPv4 from a router": (True, ether(ME, mac_of(EXIT), IPV4, udp(INTERNET, OWN))),
    "ARP for it": (True, asks(BROADCAST, mac_of(EXIT), EXIT, OWN, src=mac_of(EXIT))),
    "ARP probe of it": (True, asks(ME, mac_of(EXIT), EXIT, OWN, src=mac_of(EXIT))),
    "ARP reply": (True, says(ME, mac_of(EXIT), EXIT, ME, OWN, src=mac_of(EXIT))),
    "ARP reply for another": (False, says(ME, mac_of(EXIT), EXIT, ME, NEIGHBOUR, src=mac_of(EXIT))),
    "ARP for another": (False, asks(BROADCAST, mac_of(EXIT), EXIT, NEIGHBOUR, src=mac_of(EXIT))),
    "gratuitous ARP": (False, asks(BROADCAST, mac_of(EXIT), EXIT, EXIT, src=mac_of(EXIT))),
    "another's address": (False, ether(ME, mac_of(EXIT), IPV4, udp(INTERNET, NEIGHBOUR))),
    "DHCP offer": (False, ether(ME, mac_of(EXIT), IPV4, udp(EXIT, OWN, 67, 68))),
    "broadcast": (False, ether(BROADCAST, mac_of(EXIT), IPV4, udp(EXIT, "255.255.255.255"))),
    "multicast": (False, ether("01:00:5e:00:00:01", mac_of(EXIT), IPV4, udp(EXIT, "224.0.0.1"))),
    "router advertisement": (False, ether("33:33:00:00:00:01", mac_of(EXIT), IPV6,
                                          ipv6("ff02::1", ADVERTISEMENT, 58))),
    "IPv6": (False, ether(ME, mac_of(EXIT), IPV6, ipv6("2001:db8::1"))),
    "VLAN tag": (False, tagged(ether(ME, mac_of(EXIT), IPV4, udp(INTERNET, OWN)), (0x8100, 7))),
}


@pytest.mark.parametrize("name", TO_CLIENT)
@pytest.mark.parametrize("source", ["g1", "g2"])
def test_client_gets_what_is_its_own(net, source, name):
    passes, frame = TO_CLIENT[name]
    seen = net.seen(source, frame)
    net.heal()
    assert ("c1" in seen) == passes


def test_client_cannot_take_over_the_vip(net):
    """Whatever it sends: bridges and neighbours know what they knew, and others' traffic goes on."""
    net.heal()
    assert net.asked("c3") == net.asked("c2") == 5
    before = net.vip_ports(), net["r1"].neighbours()[NEIGHBOUR], net["r1"].neighbours()[REMOTE]
    running = [net.ask(pod, count=200) for pod in ("c2", "c3")]
    attack = itertools.cycle([*FORBIDDEN.values(), *UNSEEN.values()])
    end = time.monotonic() + 20
    while any(client.poll() is None for client in running) and time.monotonic() < end:
        net["c1"].wire.send(next(attack))
    assert time.monotonic() < end, "others' traffic does not go on"
    assert [answered(client) for client in running] == [200, 200]
    assert before == (net.vip_ports(), net["r1"].neighbours()[NEIGHBOUR],
                      net["r1"].neighbours()[REMOTE])
    assert net["c2"].neighbours()[VIP] == net["c3"].neighbours()[VIP] == GATE


# --- the table itself ---

def nft(node, *words, check=True):
    return inside(node, "nft", *words, check=check)


def entries(node):
    """{set: {port: value}}"""
    found = {}
    for name in ("macs", "addresses"):
        out = nft(node, "-j", "list", "set", "bridge", "byway", name, check=False).stdout
        listed = json.loads(out)["nftables"][1]["set"] if out else {}
        found[name] = {e["concat"][0]: e["concat"][1] for e in listed.get("elem", [])}
    return found


def expected_entries(net):
    clients = [net["c1"], net["c2"]]
    return {"macs": {pod.port(): mac_of(pod.address) for pod in clients},
            "addresses": {pod.port(): pod.address for pod in clients}}


def isolates(net):
    return (net.seen("c1", to_vip(GOOD)) == ["r1"] and
            net.seen("c1", FORBIDDEN["router"]) == net.seen("c1", FORBIDDEN["MAC of a client"]) == [])


@pytest.mark.parametrize("loss", ["delete table bridge byway", "flush ruleset",
                                  "flush chain bridge byway from_client",
                                  "flush set bridge byway macs", "flush set bridge byway addresses"])
def test_loss_is_repaired(net, loss):
    nft(net.pair.a, loss)
    wait_for(lambda: entries(net.pair.a) == expected_entries(net) and net.pair.a.ready(), "the repair", 5)
    assert isolates(net)
    assert net.asked("c1") == 5


@pytest.fixture
def sleeping(net):
    """The agent of node a does not run meanwhile, nor see what happens. It has nothing left to do before."""
    def passes():
        return net.pair.a.status()["reconcile"]["passes"]

    before = None
    while before != passes():
        before = passes()
        time.sleep(0.8)
    os.kill(net.pair.a.agent.pid, signal.SIGSTOP)
    yield net.pair.a
    os.kill(net.pair.a.agent.pid, signal.SIGCONT)
    wait_for(lambda: entries(net.pair.a) == expected_entries(net) and net.pair.a.ready(), "the repair")
    net.heal()


def test_lost_entries_close(net, sleeping):
    nft(sleeping, "flush set bridge byway macs")
    assert net.seen("c1", to_vip(GOOD)) == []
    assert net.seen("c1", asks(BROADCAST, ME, OWN, VIP)) == []


def test_without_table_ports_still_keep_clients_apart_and_the_bridge_untaught(net, sleeping):
    net.heal()
    before = net.vip_ports()
    nft(sleeping, "delete table bridge byway")
    assert net.seen("c1", FORBIDDEN["client on the node"]) == []
    for frame in (FORBIDDEN["MAC of the VIP"], UNSEEN["LLDP from the VIP's MAC"]):
        net["c1"].wire.send(frame)
    assert net.vip_ports()[0] == before[0]


def test_readiness_tells_that_clients_are_not_isolated(net, sleeping):
    with socket.socket(socket.AF_UNIX) as question:  # there before the agent can see the loss
        question.settimeout(20)
        question.connect(f"/proc/{sleeping.holder.pid}/root/run/byway/node.sock")
        question.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        nft(sleeping, "delete table bridge byway")
        os.kill(sleeping.agent.pid, signal.SIGCONT)
        answer = b"".join(iter(lambda: question.recv(4096), b""))
    assert b" 503 " in answer
    assert b"clients are not isolated: nftables table bridge byway is missing\n" in answer


@pytest.mark.parametrize("end", ["DEL", "vanished"])
def test_client_that_ends_is_taken_out(net, end):
    node, name = net.pair.a, f"c-{end}"
    pod = Pod(node, name, "client", None)
    port = pod.port()
    assert entries(node)["macs"][port] == mac_of(entries(node)["addresses"][port])
    pod.wire.close()
    if end == "DEL":
        pod.cni("DEL")
    node("ip", "netns", "delete", name)
    wait_for(lambda: entries(node) == expected_entries(net), "the end of its entries")
    pod.cni("DEL")


def spray(net, happening):
    """Sends what must not pass and what must, while something happens; (forbidden frames that somebody
    saw, allowed ones that r1 missed)."""
    bad, good = [FORBIDDEN["router"], FORBIDDEN["client on the other node"]], to_vip(GOOD)
    leaked = missed = 0

    def collect():
        nonlocal leaked, missed
        for pod in net.pods.values():
            frames = pod.wire.taken()
            leaked += sum(frame in bad for frame in frames)
            missed -= frames.count(good)

    for pod in net.pods.values():
        pod.wire.taken()
    for _ in happening:
        for frame in (*bad, good) * 20:
            net["c1"].wire.send(frame)
        missed += 20
        time.sleep(0.005)
        collect()
    time.sleep(0.2)
    collect()
    return leaked, missed


def test_reload_and_restart_open_nothing_and_lose_nothing(net):
    node = net.pair.a
    plain = networks(f"{OWN}-192.168.50.99")
    third = {"name": "more", "vni": 7952, "subnet": "192.168.53.0/24", "vip": "192.168.53.240"}

    def reloads():
        done = node.text().count("configuration reloaded")
        for i in range(12):
            node.write(networks=plain + [third] * (i % 2 == 0))
            node.agent.send_signal(signal.SIGHUP)
            while node.text().count("configuration reloaded") == done + i:
                yield

    def restart():
        node.agent.send_signal(signal.SIGKILL)
        node.agent.wait(10)
        # pylint: disable=consider-using-with
        node.agent = subprocess.Popen(node.enter(str(BUILD / "byway-node"), "--config",
                                                 str(node.config)), stderr=node.log)
        yield from range(200)

    assert spray(net, reloads()) == (0, 0)
    assert spray(net, restart()) == (0, 0)
    wait_for(node.ready, "the agent")
    assert entries(node) == expected_entries(net)
