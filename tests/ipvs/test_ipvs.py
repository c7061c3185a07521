"""lib/net's IPVS on a real kernel: services, the sync daemons, and connections that outlive their router.

Two namespaces, a and b, are routers as far as IPVS goes: both have the same services, one has the virtual
IP. A remote client's connections go through it to servers, masqueraded: the servers see the client's own
address, and answer by the virtual IP."""
import ctypes
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import time

import pytest

PEERS = pathlib.Path(__file__).with_name("peers.py")
VIP, VIP_MAC = "10.50.0.240", "02:bb:0a:32:00:f0"
SERVICE, PORT = "10.52.0.248", 5000
SERVERS = ("10.50.0.10", "10.50.0.11")
CLIENT = "10.50.0.99"
OURS = "10.52.0.0/24"
SYNC_ID = 50
COUNT = 100

# What a reply must have to be let through: its entry, its direction and its mark.
RULES = """
table ip byway {
    map identities { type ipv4_addr : mark; elements = { 10.52.0.248 : 248 } ; }
    chain pre {
        type filter hook prerouting priority mangle;
        ct direction original ct mark 0 ct mark set ip daddr map @identities
        th sport 8000 ct direction reply ct mark 248 accept
        th sport 8000 drop
    }
}
"""


def run(*words, text=None):
    done = subprocess.run([str(word) for word in words], input=text, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{words}: {done.stderr or done.stdout}"
    return done.stdout


class Space:
    """A network namespace by name."""

    def __init__(self, name):
        self.name, self.cables = name, []
        run("ip", "netns", "add", name)
        self.ip("link set lo up")

    def remove(self):
        """Ends it; the cables by themselves, since a namespace takes its time."""
        for pid in run("ip", "netns", "pids", self.name).split():
            os.kill(int(pid), 9)
        for cable in self.cables:
            run("ip", "link", "del", cable)
        run("ip", "netns", "del", self.name)

    def ip(self, *lines):
        run("ip", "-n", self.name, "-batch", "-", text="\n".join(lines))

    def run(self, *words, text=None):
        return run("ip", "netns", "exec", self.name, *words, text=text)

    def tool(self, *words, text=None):
        return self.run("ipvs_tool", *words, text=text)

    def plug(self, bridge, device):
        """A device on a bridge of this machine's own namespace."""
        self.cables.append(f"{self.name}-{device}")
        run("ip", "link", "add", self.cables[-1], "master", bridge, "up", "type", "veth", "peer", "name", device,
            "netns", self.name)

    def peers(self, *words):
        """Starts peers.py in it."""
        return self.spawn(sys.executable, PEERS, *words)

    def spawn(self, *words):
        """Starts a program that is spoken to by lines."""
        command = ["ip", "netns", "exec", self.name, *words]
        return subprocess.Popen([str(word) for word in command], text=True, bufsize=1,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def conntrack(self):
        """Its entries for the service, a line each."""
        return [line for line in self.run("conntrack", "-L", "-o", "extended").splitlines() if "dst=10.52." in line]


def ask(peers, command):
    peers.stdin.write(command + "\n")
    return json.loads(peers.stdout.readline())


def service(protocol="tcp", scheduler="rr", flags=0, port=PORT, addr=SERVICE):
    return {"object": "ipvs-service", "protocol": protocol, "addr": addr, "port": port, "scheduler": scheduler,
            "flags": flags}


def destination(server, protocol="tcp", weight=1, port=PORT, to_port=8000, addr=SERVICE):
    return {"object": "ipvs-destination", "protocol": protocol, "addr": addr, "port": port, "to": server,
            "to-port": to_port, "weight": weight}


def ingress(protocol):
    return [service(protocol), *(destination(server, protocol) for server in SERVERS)]


INGRESS = ingress("tcp") + ingress("udp")


@pytest.fixture
def space():
    """One namespace."""
    made = Space("one")
    yield made
    made.remove()


class Pair:
    """Routers a (active) and b, a client, servers."""

    def __init__(self):
        for bridge in ("net", "sync"):
            run("ip", "link", "add", bridge, "up", "type", "bridge", "mcast_snooping", "0")
        self.a, self.b, self.client = Space("a"), Space("b"), Space("c")
        self.servers = [Space(f"s{i}") for i in range(len(SERVERS))]
        for i, router in enumerate((self.a, self.b)):
            self.make_router(router, i + 1)
        self.plug(self.client, CLIENT)
        self.client.ip(f"route add {OURS} via {VIP}")
        for space, address in zip(self.servers, SERVERS):
            self.plug(space, address)
            # By the router also to the client: that is where the translation is undone.
            space.ip(f"route add {CLIENT} via {VIP}")
        self.a.ip("link set vip up")

    @staticmethod
    def plug(space, address):
        space.plug("net", "eth0")
        space.ip("link set eth0 up", f"address add {address}/24 dev eth0")

    @staticmethod
    def make_router(router, number):
        router.plug("net", "vip")
        router.plug("sync", "sync")
        router.ip(f"link set vip address {VIP_MAC}", f"address add {VIP}/24 dev vip",
                  f"address add {SERVICE}/32 dev lo", "link set sync up",
                  f"address add 10.51.0.{number}/24 dev sync")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
                   "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.vip.send_redirects=0",
                   "net.ipv4.conf.vip.arp_notify=1")
        router.run("nft", "-f", "-", text=RULES)
        router.tool("apply", OURS, text=json.dumps(INGRESS))
        router.tool("sync", "sync", SYNC_ID)

    def move(self):
        """The virtual IP goes to b, without a word from a."""
        self.a.ip("link set vip down", "link set sync down")
        self.b.ip("link set vip up")

    def remove(self):
        for space in (self.a, self.b, self.client, *self.servers):
            space.remove()
        for bridge in ("net", "sync"):
            run("ip", "link", "del", bridge)


@pytest.fixture
def pair():
    made = Pair()
    yield made
    made.remove()


def open_connections(space):
    return [line for line in space.tool("conns").splitlines() if " open " in line]


def wait_for_connections(space, count, seconds=10):
    """Until the namespace's table has that many; returns how long it took."""
    start = time.monotonic()
    while len(open_connections(space)) < count:
        assert time.monotonic() - start < seconds, f"{len(open_connections(space))} of {count} in {space.name}"
        time.sleep(0.1)
    return time.monotonic() - start


# --- services ---------------------------------------------------------------------------------------------------

def rules(space):
    """As ipvsadm shows them, sorted."""
    return sorted(space.run("ipvsadm", "-S", "-n").splitlines())


def test_services_are_what_is_wanted(space):
    wanted = [*INGRESS, service("udp", "mh", 24, 53), destination(SERVERS[0], "udp", 3, 53, 53),
              service("tcp", "wlc", 0, 53), destination(SERVERS[0], "tcp", 0, 53, 5353)]
    space.tool("apply", OURS, text=json.dumps(wanted))
    assert rules(space) == sorted(rule.strip() for rule in """
        -A -t 10.52.0.248:5000 -s rr
        -a -t 10.52.0.248:5000 -r 10.50.0.10:8000 -m -w 1
        -a -t 10.52.0.248:5000 -r 10.50.0.11:8000 -m -w 1
        -A -u 10.52.0.248:5000 -s rr
        -a -u 10.52.0.248:5000 -r 10.50.0.10:8000 -m -w 1
        -a -u 10.52.0.248:5000 -r 10.50.0.11:8000 -m -w 1
        -A -u 10.52.0.248:53 -s mh -b mh-fallback,mh-port
        -a -u 10.52.0.248:53 -r 10.50.0.10:53 -m -w 3
        -A -t 10.52.0.248:53 -s wlc
        -a -t 10.52.0.248:53 -r 10.50.0.10:5353 -m -w 0""".strip().splitlines())
    assert space.tool("apply", OURS, text=json.dumps(wanted)) == ""


def test_drift_is_repaired_and_foreign_services_stay(space):
    foreign = ["-A -t 10.53.0.1:5000 -s rr", "-a -t 10.53.0.1:5000 -r 10.50.0.10:8000 -m -w 1",
               "-A -f 7 -s wlc", "-a -f 7 -r 10.50.0.10:0 -g -w 1"]
    # ipvsadm gives a gatewaying destination the service's port: the one that changes its method has it already.
    wanted = json.dumps([*ingress("tcp"), destination(SERVERS[0], to_port=PORT)])
    space.tool("apply", OURS, text=wanted)
    ours = rules(space)
    for rule in [*foreign, "-E -t 10.52.0.248:5000 -s wlc -p 60", "-e -t 10.52.0.248:5000 -r 10.50.0.10:8000 -m -w 9",
                 "-e -t 10.52.0.248:5000 -r 10.50.0.10:5000 -g -w 1",
                 "-a -t 10.52.0.248:5000 -r 10.50.0.12:5000 -g -w 1",
                 "-d -t 10.52.0.248:5000 -r 10.50.0.11:8000", "-A -u 10.52.0.7:9 -s rr"]:
        space.run("ipvsadm", *rule.split())
    at = "ipvs-destination tcp 10.52.0.248 port 5000 to"
    plan = space.tool("apply", OURS, text=wanted).splitlines()
    assert plan == [
        f"delete {at} 10.50.0.12 to-port 5000 weight 1 forwarding 3",
        "delete ipvs-service udp 10.52.0.7 port 9 scheduler rr",
        "update ipvs-service tcp 10.52.0.248 port 5000 scheduler rr",
        f"update {at} 10.50.0.10 to-port 8000 weight 1",
        f"create {at} 10.50.0.11 to-port 8000 weight 1",
        f"update {at} 10.50.0.10 to-port 5000 weight 1"]
    assert rules(space) == sorted(ours + foreign)
    space.tool("apply", OURS, text="[]")
    assert rules(space) == sorted(foreign)


# --- the daemons ------------------------------------------------------------------------------------------------

def daemons(space):
    return sorted(re.findall(r"(\w+) sync daemon \(mcast=(\w+), syncid=(\d+), maxlen=(\d+)",
                             space.run("ipvsadm", "-L", "--daemon")))


def threads():
    """Kernel threads of the daemons by process id: the same ones were left alone."""
    return sorted(re.findall(r"(\d+) (ipvs-[mb]\S+)", run("ps", "-e", "-o", "pid=,comm=")))


def test_sync_daemons(pair):
    running, before = daemons(pair.a), threads()
    assert [daemon[:3] for daemon in running] == [("backup", "sync", "50"), ("master", "sync", "50")]
    assert before
    pair.a.tool("sync", "sync", SYNC_ID)
    assert threads() == before
    pair.a.tool("sync", "sync", 7)
    assert [daemon[2] for daemon in daemons(pair.a)] == ["7", "7"]
    assert threads() != before
    pair.a.tool("sync", "none")
    pair.a.tool("sync", "none")
    assert daemons(pair.a) == []
    assert pair.a.run("sysctl", "-n", "net.ipv4.vs.sync_threshold").split() == ["0", "0"]


# --- connections ------------------------------------------------------------------------------------------------

@pytest.fixture
def talking(pair):
    """COUNT connections through a, b told of them, and nothing said yet: (pair, client, servers)."""
    servers = [space.peers("server", 8000) for space in pair.servers]
    assert [int(server.stdout.readline()) for server in servers] == [0, 0]
    client = pair.client.peers("client", SERVICE, PORT, COUNT)
    assert int(client.stdout.readline()) == COUNT
    print("synced after", wait_for_connections(pair.b, COUNT))
    yield pair, client, servers
    for peers in (client, *servers):
        peers.stdin.close()
        peers.wait(10)


def restore(space):
    ensured, refused, cpu_ms = space.tool("restore", OURS).split()
    return int(ensured), int(refused), float(cpu_ms)


def essence(lines):
    """Entries without what differs by right: timers, and the bits that come with packets."""
    return sorted(re.sub(r"^ipv4\s+2\s+(\w+)\s+(\d+)\s+\d+ |use=\d+|\s+$", r"\1 ", line) for line in lines)


def test_entries_are_like_those_of_the_active_router(talking):
    pair = talking[0]
    assert pair.b.conntrack() == []
    assert restore(pair.b)[:2] == (COUNT, 0)
    assert restore(pair.b)[:2] == (COUNT, 0)
    entries = pair.b.conntrack()
    assert len(entries) == COUNT and all("ESTABLISHED" in line and "mark=248" in line for line in entries)
    assert essence(entries) == essence(pair.a.conntrack())


def test_connections_survive_when_the_client_speaks_first(talking):
    """Here the daemons are proven: the kernel would make an entry of the client's packet by itself."""
    pair, client, _ = talking
    assert ask(client, f"say {COUNT}") == COUNT
    restore(pair.b)
    pair.move()
    assert ask(client, f"say {COUNT}") == COUNT


def test_connections_survive_when_the_server_speaks_first(talking):
    """Without its entry not one connection would: the packet has no mark, and is none of a reply."""
    pair, client, servers = talking
    restore(pair.b)
    pair.move()
    assert sum(ask(server, f"push {COUNT // 2}") for server in servers) == COUNT
    assert ask(client, f"hear {COUNT}") == COUNT
    assert ask(client, f"say {COUNT}") == COUNT


def test_conversations_survive(pair):
    """UDP, and the server sees who really asks."""
    started = [space.spawn("echo", 8000, 8001) for space in pair.servers]
    flows = pair.client.spawn("flows", "udp", SERVICE, PORT, COUNT, 1000)
    opened = json.loads(flows.stdout.readline())
    assert opened["per_exit"] == {CLIENT: COUNT}
    wait_for_connections(pair.b, COUNT)
    restore(pair.b)
    pair.move()
    assert ask(flows, "mark") == {}
    end = time.monotonic() + 20
    while (seen := ask(flows, "check"))["answered"] < COUNT and time.monotonic() < end:
        time.sleep(0.5)
    assert (seen["answered"], seen["lost"], seen["moved"]) == (COUNT, 0, 0)
    for process in (flows, *started):
        process.kill()
        process.wait()


# --- many -------------------------------------------------------------------------------------------------------

def sync_entry(protocol, client, client_port, server, server_port):
    """Of version 1: struct ip_vs_sync_v4."""
    state, timeout = (1, 900) if protocol == socket.IPPROTO_TCP else (0, 300)
    return struct.pack("!BBHIHHHHII", 0, protocol, 36, 0, state, client_port, PORT, server_port, 0, timeout) + \
        b"".join(socket.inet_aton(address) for address in (client, SERVICE, server))


def send_entries(entries):
    """What a's daemon would send, said by a."""
    with open("/run/netns/a", "rb") as there, open("/proc/self/ns/net", "rb") as here:
        libc = ctypes.CDLL(None)
        assert libc.setns(there.fileno(), 0) == 0
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        assert libc.setns(here.fileno(), 0) == 0
    with sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.51.0.1"))
        for i in range(0, len(entries), 30):
            some = entries[i:i + 30]
            size = 8 + sum(map(len, some))
            sock.sendto(struct.pack("!BBHBBH", 0, SYNC_ID, size, len(some), 1, 0) + b"".join(some),
                        ("224.0.0.81", 8848))
            time.sleep(0.005)


def test_a_new_connection_takes_the_place_of_an_old_one(pair):
    """The same client's port again, by another server: the old entry does not stay."""
    for server in SERVERS:
        send_entries([sync_entry(socket.IPPROTO_UDP, CLIENT, 4000, server, 8000)])
        deadline = time.monotonic() + 5
        while server not in pair.b.tool("conns"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert restore(pair.b)[:2] == (1, 0)
        entry, = pair.b.conntrack()
        assert f"src={server} dst={CLIENT} sport=8000 dport=4000" in entry and "ASSURED" in entry
        assert entry.startswith("ipv4     2 udp      17 29")


def test_ten_thousand(pair):
    count = 10000
    send_entries([sync_entry(socket.IPPROTO_TCP, f"203.0.113.{1 + i // 1000}", 1024 + i % 1000, SERVERS[i % 2], 8000)
                  for i in range(count)])
    wait_for_connections(pair.b, count)
    first, again = restore(pair.b), restore(pair.b)
    assert first[:2] == again[:2] == (count, 0)
    assert int(pair.b.run("conntrack", "-C")) >= count
    # The trivial way: a process an entry.
    line = ("conntrack -I -p tcp -s 203.0.114.1 -d 10.52.0.248 --sport {} --dport 5000 --reply-src 10.50.0.10 "
            "--reply-dst 203.0.114.1 --reply-port-src 8000 --reply-port-dst {} --state ESTABLISHED "
            "-u SEEN_REPLY,ASSURED -t 300 -m 248 >/dev/null 2>&1")
    before = os.times()
    pair.b.run("sh", "-ec", "\n".join(line.format(port, port) for port in range(2000, 2100)))
    after = os.times()
    trivial = (after.children_user + after.children_system - before.children_user - before.children_system) * 1e3
    figures = {"entries": count, "restore_cpu_ms": first[2], "restore_again_cpu_ms": again[2],
               "one_process_each_cpu_ms": trivial * count / 100}
    print("figures", figures)
    pathlib.Path("/byway/build/restore.json").write_text(json.dumps(figures))
    assert figures["one_process_each_cpu_ms"] > 100 * max(first[2], again[2])
