"""A node for the CNI plugin's tests: the node agent's namespace with its bridges and lease tables,
prepared by hand, and pods with a primary interface. Nothing of it touches the host's namespace."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BYWAY_BUILD", ROOT / "build"))
VIP = "192.168.50.240"
# Of the node agent's table that isolates clients, what the plugin fills; its rules are tested in tests/node.
ISOLATION_SETS = ("add table bridge byway; add set bridge byway macs { type ifname . ether_addr; };"
                  "add set bridge byway addresses { type ifname . ipv4_addr; }")
SPLIT = ["0.0.0.0/5", "8.0.0.0/7", "11.0.0.0/8", "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3",
         "64.0.0.0/2", "128.0.0.0/1"]


def run(*command, check=True, **kwargs):
    return subprocess.run(command, check=check, capture_output=True, text=True, **kwargs)


def port_name(container, ifname):
    """The bridge's end of an attachment (attach_name())."""
    h = 14695981039346656037
    for byte in f"byway {container}/{ifname}".encode():
        h = (h ^ byte) * 1099511628211 % 2**64
    return f"p{(h ^ h >> 48) % 2**48:012x}"


class Namespace:
    """A named network namespace, kept as `ip netns` keeps them."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        run("ip", "netns", "add", name)

    def __call__(self, *command, check=True):
        return run("nsenter", f"--net={self.path}", *command, check=check)

    def ip(self, *args, family=None):
        return json.loads(self("ip", "-j", *([family] if family else []), *args).stdout or "[]")

    def links(self):
        return {link["ifname"]: link for link in self.ip("-d", "link", "show")}

    def addresses(self, ifname):
        return [f"{a['local']}/{a['prefixlen']}" for a in self.ip("addr", "show", "dev", ifname)[0]
                ["addr_info"] if a["family"] == "inet"]

    def routes(self, family="-4"):
        """[(type, destination, gateway, device, metric)], in the order of the kernel."""
        return self.table_routes("main", family)

    def table_routes(self, table, family="-4"):
        if not self("ip", family, "route", "show", "table", table, check=False).stdout:
            return []  # ip calls a table that nobody used an error
        return [(r.get("type", "unicast"), r["dst"], r.get("gateway"), r.get("dev"), r.get("metric"))
                for r in self.ip("-d", "route", "show", "table", table, family=family)]

    def sysctl(self, key):
        return self("cat", f"/proc/sys/{key}").stdout.strip()

    def way_to(self, address):
        """The device a packet to `address` leaves by, or None where it is refused."""
        out = self("ip", "-j", "route", "get", address, check=False)
        return json.loads(out.stdout)[0]["dev"] if out.returncode == 0 else None

    def delete(self):
        run("ip", "netns", "delete", self.name, check=False)


class Node:
    """`prefix` keeps the names of several tests apart."""

    def __init__(self, prefix, directory):
        self.prefix, self.leases, self.namespaces = prefix, pathlib.Path(directory), []
        self.agent = self.namespace("agent")
        for vni, network in ((1, "vpn"), (2, "sync")):
            bridge, vxlan = f"br-{network}", f"vx-{network}"
            self.agent("ip", "link", "add", bridge, "mtu", "1400", "type", "bridge")
            self.agent("ip", "link", "set", bridge, "up")
            self.agent("ip", "link", "add", vxlan, "mtu", "1400", "type", "vxlan", "id", str(vni),
                       "dstport", "14789")
            self.agent("ip", "link", "set", vxlan, "master", bridge, "up")
        self.agent("nft", ISOLATION_SETS)
        self.ensure("vpn", "client", "192.168.50.1-192.168.50.100", "router",
                    "192.168.50.241-192.168.50.242")
        self.ensure("sync", "sync", "192.168.51.1-192.168.51.99")

    def namespace(self, name):
        self.namespaces.append(Namespace(f"{self.prefix}-{name}"))
        return self.namespaces[-1]

    def pod(self, name):
        """A pod with a primary interface whose default route would be the leak."""
        pod = self.namespace(name)
        pod("ip", "link", "set", "lo", "up")
        pod("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0-peer")
        pod("ip", "link", "set", "eth0-peer", "up")
        pod("ip", "addr", "add", "10.244.0.5/24", "dev", "eth0")
        pod("ip", "link", "set", "eth0", "up")
        pod("ip", "route", "add", "default", "via", "10.244.0.1")
        pod("ip", "-6", "addr", "add", "fd00::5/64", "dev", "eth0", "nodad")
        pod("ip", "-6", "route", "add", "default", "via", "fd00::1", "dev", "eth0")
        return pod

    def ensure(self, network, *ranges):
        run(BUILD / "tests/lease_ensure", self.leases, network, *ranges)

    def take(self, network, container, ifname, seconds):
        """Reserves an address, that long ago, as an ADD does that was killed or is still busy."""
        run(BUILD / "tests/lease_ensure", "--take", self.leases, network, container, ifname,
            str(seconds))

    def held(self, network):
        """[(address, role, state, container id, interface, pod uid)]"""
        out = run(BUILD / "tests/lease_ensure", "--list", self.leases, network).stdout
        return [tuple(line.split(" ")) for line in out.splitlines()]

    def state(self, *pods):
        """All that a command which is refused, or only looks, must leave as it is."""
        def of(namespace):
            return {name: (link.get("ifalias"), link.get("master"), link["address"], link["mtu"],
                           "UP" in link["flags"]) for name, link in namespace.links().items()}
        tables = {path.name: self.held(path.name) for path in self.leases.iterdir()}
        def routes(pod):  # the kernel makes those of IPv6 link-local addresses when it likes
            return pod.routes() + [r for r in pod.routes("-6") if r[1][:2] not in ("fe", "ff", "mu")]
        return [of(self.agent), *((of(pod), routes(pod)) for pod in pods), tables]

    def ports(self):
        """Bridge ports by the part of their alias that says whose they are."""
        return {" ".join(link.get("ifalias", "").split(" ")[:2]): link
                for link in self.agent.links().values() if link["ifname"].startswith("p")}

    def isolated(self):
        """The ports that are entered for isolation: {name: [MAC, address]}."""
        ports = {}
        for name in ("macs", "addresses"):
            listed = json.loads(self.agent("nft", "-j", "list", "set", "bridge", "byway", name).stdout)
            for element in listed["nftables"][1]["set"].get("elem", []):
                port, value = element["concat"]
                ports.setdefault(port, []).append(value)
        return ports

    def conf(self, role="client", **changes):
        conf = {"cniVersion": "1.0.0", "name": "vpn", "type": "byway", "role": role,
                "subnet": "192.168.50.0/24", "vip": VIP, "intranet": ["10.0.0.0/8"],
                "netns": self.agent.path, "leaseDir": str(self.leases)}
        if role == "sync":
            conf.update(name="sync", subnet="192.168.51.0/24")
            del conf["vip"]
        conf.update(changes)
        return {key: value for key, value in conf.items() if value is not None}

    def environment(self, verb, pod, container, ifname="net1", uid=None, **variables):
        env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_IFNAME": ifname,
               "CNI_PATH": "/opt/cni/bin", "CNI_NETNS": pod.path if pod else ""}
        if uid:
            env["CNI_ARGS"] = ("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;"
                               f"K8S_POD_UID={uid}")
        return {**env, **variables}

    def start(self, verb, pod, container, conf, stdout=subprocess.PIPE, **kwargs):
        """A plugin process that has been given all its input."""
        process = subprocess.Popen([BUILD / "byway"], stdin=subprocess.PIPE,
                                   stdout=stdout, stderr=subprocess.PIPE, text=True,
                                   env=self.environment(verb, pod, container, **kwargs))
        process.stdin.write(json.dumps(conf))
        process.stdin.close()
        process.stdin = None
        return process

    def cni(self, verb, pod, container, conf=None, **kwargs):
        """(exit status, answer); the answer is None where there is none."""
        process = self.start(verb, pod, container, conf or self.conf(), **kwargs)
        out, err = process.communicate(timeout=20)
        assert not err, err
        return process.returncode, json.loads(out) if out else None

    def add(self, pod, container, conf=None, **kwargs):
        status, result = self.cni("ADD", pod, container, conf, **kwargs)
        assert status == 0, result
        return result

    def delete(self, pod, container, conf=None, **kwargs):
        assert self.cni("DEL", pod, container, conf, **kwargs) == (0, None)

    def close(self):
        for namespace in self.namespaces:
            namespace.delete()
