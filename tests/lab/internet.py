"""The far end: the internet's server, VPN providers, the nodes' way out, and the intranet.

Two switches in the machine's own namespace join it all: `internet` with the providers (203.0.113.0/24)
and the public addresses (198.51.100.0/24), and `underlay` with the nodes and their intranet.
"""
import base64
import contextlib
import functools
import os
import subprocess

from . import plan
from .configs import EMULATED
from .namespaces import STATE, Namespace, feed, set_sysctl


def bridges():
    """Lines for `ip -batch` that make the two switches."""
    for name in ("internet", "underlay"):
        yield f"link add name {name} type bridge mcast_snooping 0"
        yield f"link set {name} up"


def plug(namespace, device, bridge):
    """Lines for `ip -batch` that give a namespace a device on a switch."""
    cable = f"{bridge[:1]}-{namespace.name}"
    yield f"link add name {cable} type veth peer name {device} netns {namespace.pid}"
    yield f"link set {cable} master {bridge} up"


def forward():
    """Makes a router of the namespace that this process is in."""
    set_sysctl("net.ipv4.ip_forward", 1)


def tolerate_windows():
    """Conntrack in this namespace takes TCP segments as they are."""
    set_sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", 1)


def private_key():
    """A WireGuard private key."""
    raw = bytearray(os.urandom(32))
    raw[0] &= 248
    raw[31] = (raw[31] & 127) | 64
    return base64.b64encode(raw).decode()


def kept_key(name):
    """The private key of that name: of the running installation, or a new one."""
    file = STATE / "key" / name
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(private_key())
    return file.read_text()


def public_key(private):
    """The public key that belongs to a private one."""
    return subprocess.run(["wg", "pubkey"], input=private, text=True, check=True,
                          capture_output=True).stdout.strip()


class Server(Namespace):
    """A host that echoes (TCP and UDP port 7) and tells the caller's address (HTTP port 80)."""

    def serve(self):
        """Starts the echo."""
        return self.spawn("echo", log=f"echo-{self.name}")


class Internet(Server):
    """The internet's one server, which reaches providers and the isp directly."""

    def __init__(self):
        super().__init__("inet")

    def cables(self):
        """Its place on the switch."""
        return plug(self, "wan", "internet")

    def describe(self):
        """Collects its configuration. A round trip through an emulated machine takes longer than the
        200 ms after which TCP would send again, and make it longer still."""
        patience = " rto_min 1s" if EMULATED else ""
        self.ip(f"address add {plan.SERVER}/24 dev wan", "link set wan up",
                f"route change 198.51.100.0/24 dev wan src {plan.SERVER}{patience}",
                "route add 203.0.113.0/24 dev wan")


class Intranet(Server):
    """A service in the intranet, reached by pods through their node."""

    def __init__(self):
        super().__init__("intranet")

    def cables(self):
        """Its place on the underlay."""
        return plug(self, "eth0", "underlay")

    def describe(self):
        """Collects its configuration."""
        self.ip(f"address add {plan.SERVICE_UNDERLAY}/{plan.UNDERLAY} dev eth0", "link set eth0 up",
                f"address add {plan.SERVICE}/32 dev lo",
                *(f"route add {node.pods} via {node.address}" for node in plan.NODES))


class Isp(Namespace):
    """What the nodes' own internet would be: it masquerades them as one public address."""

    def __init__(self):
        super().__init__("isp")

    def cables(self):
        """Between the underlay and the internet."""
        yield from plug(self, "lan", "underlay")
        yield from plug(self, "wan", "internet")

    def describe(self):
        """Collects its configuration."""
        self.ip(f"address add {plan.ISP_UNDERLAY}/{plan.UNDERLAY} dev lan", "link set lan up",
                f"address add {plan.ISP_PUBLIC}/24 dev wan", "link set wan up",
                "route add 198.51.100.0/24 dev wan")
        self.nft("table ip isp { chain out { type nat hook postrouting priority srcnat;\n"
                 f"oifname wan snat to {plan.ISP_PUBLIC}\n}}\n}}")
        self.then(forward)


class Provider(Namespace):
    """A VPN provider: a kernel WireGuard server that lets its client out as its public address."""

    def __init__(self, exit_):
        super().__init__(f"p{exit_.number}")
        self.exit = exit_

    # Keys are made when first asked for and kept with the state, for who takes the lab over.
    @functools.cached_property
    def server_private(self):
        """The provider's own key."""
        return kept_key(f"{self.name}-server")

    @functools.cached_property
    def client_private(self):
        """The key it hands out with the exit."""
        return kept_key(f"{self.name}-client")

    @functools.cached_property
    def server_public(self):
        """What the exit's file says of the provider."""
        return public_key(self.server_private)

    def cables(self):
        """On the internet."""
        return plug(self, "wan", "internet")

    def describe(self):
        """Collects its configuration; the public address is another one than the endpoint."""
        number = self.exit.number
        self.ip(f"address add {self.exit.endpoint}/24 dev wan", "link set wan up",
                f"address add {self.exit.public}/24 dev wan", "link add wg0 type wireguard",
                f"address add 10.64.{number}.1/24 dev wg0", "link set wg0 up")
        self.nft("table ip provider { chain out { type nat hook postrouting priority srcnat;\n"
                 f"oifname wan ip saddr 10.64.{number}.0/24 snat to {self.exit.public}\n}}\n}}")
        self.then(forward)
        # A SYN and a SYN-ACK that were both sent again make a strict tracker begin the window anew
        # (nf_conntrack_tcp_packet(), "out of sync"): what follows is invalid to it, is not translated
        # back, reaches the provider itself and is answered with an RST.
        self.then(tolerate_windows)
        keys = self._server()
        self.then(lambda: feed(keys, "wg", "setconf", "wg0", "/dev/stdin"))

    def _server(self):
        return (f"[Interface]\nPrivateKey = {self.server_private}\n"
                f"ListenPort = {plan.WIREGUARD_PORT}\n"
                f"[Peer]\nPublicKey = {public_key(self.client_private)}\n"
                f"AllowedIPs = {self.exit.tunnel}/32\n")

    def silence(self):
        """From now on it answers nothing to nobody: no tunnel, no ICMP, no reset."""
        self.run("nft", "-f", "-", text="""
            table inet silence {
              chain in { type filter hook prerouting priority -500; policy drop; }
              chain out { type filter hook output priority -500; policy drop; }
            }""")

    def resume(self):
        """Ends the silence."""
        self.run("nft", "delete table inet silence")

    @contextlib.contextmanager
    def lost_handshake(self):
        """The next answer to a handshake (a message of 92 bytes) that it sends never arrives."""
        self.run("nft", "-f", "-", text=f"""
            table ip lost_handshake {{
              chain out {{
                type filter hook output priority 0;
                udp sport {plan.WIREGUARD_PORT} udp length 100 quota until 120 bytes counter drop
              }}
            }}""")
        try:
            yield
            lost = self.run("nft", "list", "table", "ip", "lost_handshake")
            assert "counter packets 1 " in lost, lost
        finally:
            self.run("nft", "delete table ip lost_handshake")
