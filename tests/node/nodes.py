"""Two nodes on one machine: network namespaces joined by a veth pair as the underlay, each with a mount
namespace of its own, so that each has its own /run. byway-node runs in them as it does on a host."""
import json
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BYWAY_BUILD", ROOT / "build"))
ADDRESSES = {"a": "172.20.0.11", "b": "172.20.0.12"}

# Sends UDP datagrams of the given size that must not be fragmented; prints how many were answered.
CLIENT = """
import socket, sys, time
to, size, count, gap = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
s.settimeout(2)
s.connect((to, 7))
answered = 0
for _ in range(count):
    try:
        s.send(b"x" * size)
        answered += len(s.recv(65536)) == size
    except OSError:
        pass
    time.sleep(gap)
print(answered)
"""
SERVER = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 7))
while True:
    data, address = s.recvfrom(65536)
    s.sendto(data, address)
"""


def wait_for(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.05)


class Node:
    def __init__(self, letter, prefix, directory):
        self.letter, self.netns = letter, f"{prefix}-{letter}"
        self.config = pathlib.Path(directory) / f"{letter}.json"
        self.log = open(pathlib.Path(directory) / f"{letter}.log", "w+", encoding="utf-8")
        self.agent, self.children = None, []
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        # The process that keeps the mount namespace.
        self.holder = subprocess.Popen(
            ["ip", "netns", "exec", self.netns, "unshare", "-m", "sh", "-c",
             "mount -t tmpfs none /run && echo ready && exec sleep 3600"],
            stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n"

    def enter(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", *command]

    def __call__(self, *command, check=True):
        return subprocess.run(self.enter(*command), check=check, capture_output=True, text=True)

    def write(self, **changes):
        config = {
            "node": f"node-{self.letter}",
            "nodes": [{"name": f"node-{n}", "address": a} for n, a in ADDRESSES.items()],
            "metrics": {"address": "127.0.0.1", "port": 9000},
            "networks": [
                {"name": "vpn", "vni": 7950, "mtu": 1400, "subnet": "192.168.50.0/24",
                 "vip": "192.168.50.240",
                 "leases": [{"role": "client", "range": "192.168.50.1-192.168.50.119"}]},
                {"name": "sync", "vni": 7951, "subnet": "192.168.51.0/24"},
            ],
        }
        config.update(changes)
        self.config.write_text(json.dumps(config, indent=1))

    def start(self):
        self.agent = subprocess.Popen(
            self.enter(str(BUILD / "byway-node"), "--config", str(self.config)), stderr=self.log)
        wait_for(self.ready, f"node {self.letter} ready")

    def stop(self, sig=signal.SIGTERM):
        self.agent.send_signal(sig)
        status = self.agent.wait(10)
        self.agent = None
        return status

    def get(self, path):
        """(status, body) from the control socket."""
        out = self("curl", "-s", "-m", "5", "--unix-socket", "/run/byway/node.sock", "-w",
                   "\n%{http_code}", f"http://node/{path}", check=False).stdout
        body, _, status = out.rpartition("\n")
        return int(status or 0), body

    def ready(self):
        assert self.agent.poll() is None, self.text()
        return self.get("readyz")[0] == 200

    def status(self):
        return json.loads(self.get("status")[1])

    def text(self):
        return pathlib.Path(self.log.name).read_text(encoding="utf-8")

    def links(self):
        out = self("ip", "-j", "-d", "-n", "byway", "link", "show").stdout
        return {link["ifname"]: link for link in json.loads(out)}

    def indexes(self):
        return {name: link["ifindex"] for name, link in self.links().items()}

    def plug(self, address):
        """A port of the vpn bridge, the way the CNI plugin makes one; its end stays in the node."""
        self("ip", "link", "add", "port", "mtu", "1400", "type", "veth", "peer", "name", "p0", "mtu",
             "1400", "netns", "/run/netns/byway")
        self("ip", "-n", "byway", "link", "set", "p0", "master", "br-vpn", "up", "alias",
             "byway 0123/net1")
        self("ip", "link", "set", "port", "up")
        self("ip", "addr", "add", f"{address}/24", "dev", "port")

    def pod(self, name):
        """The path of a new pod's network namespace."""
        self("ip", "netns", "add", name)
        return f"/run/netns/{name}"

    def attach(self, netns, container):
        """ADD as a runtime does it: net1 of a client in the vpn network."""
        conf = {"cniVersion": "1.0.0", "name": "vpn", "type": "byway", "role": "client",
                "subnet": "192.168.50.0/24", "vip": "192.168.50.240", "intranet": ["10.0.0.0/8"]}
        out = subprocess.run(
            self.enter("env", "-i", "CNI_COMMAND=ADD", f"CNI_CONTAINERID={container}",
                       f"CNI_NETNS={netns}", "CNI_IFNAME=net1", "CNI_PATH=/opt/cni/bin",
                       str(BUILD / "byway")),
            input=json.dumps(conf), capture_output=True, text=True, check=False)
        assert out.returncode == 0, out.stdout
        return json.loads(out.stdout)["ips"][0]["address"]

    def leases(self):
        """{container: state} of the vpn network."""
        lines = self(str(BUILD / "tests/lease_ensure"), "--list", "/run/byway/leases", "vpn").stdout
        return {line.split()[3]: line.split()[2] for line in lines.splitlines()}

    def serve_echo(self):
        self.children.append(subprocess.Popen(self.enter("python3", "-c", SERVER)))

    def ask(self, address, size=100, count=5, gap=0.01):
        """A client that is running; answered() collects it."""
        return subprocess.Popen(self.enter("python3", "-c", CLIENT, address, str(size), str(count),
                                           str(gap)), stdout=subprocess.PIPE, text=True)

    def close(self):
        for process in [self.agent, *self.children, self.holder]:
            if process:
                process.kill()
                process.wait()
        subprocess.run(["ip", "netns", "delete", self.netns], check=False)
        self.log.close()


def answered(client):
    return int(client.communicate(timeout=60)[0])


class Pair:
    def __init__(self, prefix, directory):
        self.a, self.b = Node("a", prefix, directory), Node("b", prefix, directory)
        subprocess.run(["ip", "link", "add", "under", "netns", self.a.netns, "type", "veth", "peer",
                        "name", "under", "netns", self.b.netns], check=True)
        for node in (self.a, self.b):
            node("ip", "link", "set", "lo", "up")
            node("ip", "link", "set", "under", "up")
            node("ip", "addr", "add", f"{ADDRESSES[node.letter]}/24", "dev", "under")
            node.write()

    def join(self):
        """Both agents run, a port on each bridge, an echo behind b's."""
        for node, address in ((self.a, "192.168.50.1"), (self.b, "192.168.50.2")):
            node.start()
            node.plug(address)
        self.b.serve_echo()
        wait_for(lambda: answered(self.a.ask("192.168.50.2", count=1)) == 1, "an echo")

    def close(self):
        self.a.close()
        self.b.close()
