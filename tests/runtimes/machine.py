"""What the container runtimes find on this machine: plugins, network configurations, a root file system for
containers, and somebody who answers on the VIP. All of it stands in the lab's own root and ends with it."""
import json
import os
import pathlib
import signal
import subprocess
import time

from lab.host import BUILD, NETNS, held, run

SUBNET, VIP, CLIENTS = "192.168.50.0/24", "192.168.50.240", "192.168.50.1-192.168.50.100"
PLUGINS = pathlib.Path("/opt/cni/bin")
NETWORKS = pathlib.Path("/etc/cni/net.d")
CALLS = pathlib.Path("/run/cni-calls")
ROOT = "/var/lib/container-root"

# The plugin as the runtimes execute it: what they ask, and whether they were given an answer.
RECORDER = f"""#!/bin/sh
{BUILD}/byway
status=$?
echo "$CNI_COMMAND $status" >>{CALLS}
exit $status
"""

# Answers every connection with the address of whoever asks.
SERVER = f"""
import http.server

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("{VIP}", 80), Answer)
print("ready", flush=True)
server.serve_forever()
"""


def wait_for(condition, what, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.05)


def mac_of(address):
    """The MAC of whoever has an IPv4 address of the network."""
    return "02:bb:" + ":".join(f"{int(byte):02x}" for byte in address.split("."))


def byway(**changes):
    """The plugin's part of a network configuration."""
    return {"type": "byway", "role": "client", "subnet": SUBNET, "vip": VIP, "intranet": ["10.0.0.0/8"],
            **changes}


def bridge():
    """A primary network, as a cluster's own plugin makes it."""
    return {"type": "bridge", "bridge": "primary0", "isGateway": True, "ipMasq": False,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}]],
                     "routes": [{"dst": "0.0.0.0/0"}]}}


class Machine:
    def __init__(self, host):
        self.host = host
        self.server = None
        self.first_elements = []

    def start(self):
        # The runtimes ask what there is; containers run without control groups, which may be anybody's here.
        run("mount", "-t", "cgroup2", "cgroup", "/sys/fs/cgroup")
        self.forget_networks()  # podman's package brings one
        self._install_plugins()
        self._make_root()
        self._hold_vip()

    def _install_plugins(self):
        PLUGINS.mkdir(parents=True)
        for plugin in pathlib.Path("/usr/lib/cni").iterdir():
            (PLUGINS / plugin.name).symlink_to(plugin)
        (PLUGINS / "byway").write_text(RECORDER, encoding="ascii")
        (PLUGINS / "byway").chmod(0o755)

    @staticmethod
    def _make_root():
        for directory in ("bin", "dev", "etc", "proc", "run", "sys", "tmp"):
            os.makedirs(f"{ROOT}/{directory}")
        run("cp", "/bin/busybox", f"{ROOT}/bin/busybox")
        for name in ("ip", "sh", "sleep", "wget", "cat"):
            os.symlink("busybox", f"{ROOT}/bin/{name}")

    def _hold_vip(self):
        """In the place of a router, which needs more of a kernel than containers do: a gateway's attachment
        has no address of its own, and the VIP is where routers have it, on a link with the VIP's MAC."""
        run("ip", "netns", "add", "vip")
        conf = {"cniVersion": "1.0.0", "name": "vpn", **byway(role="gateway")}
        self._call("ADD", conf, "vip", "net1", "/run/netns/vip")
        run("ip", "-n", "vip", "link", "add", "vip", "link", "net1", "address", mac_of(VIP), "type", "macvlan",
            "mode", "private")
        run("ip", "-n", "vip", "addr", "add", f"{VIP}/24", "dev", "vip")
        run("ip", "-n", "vip", "link", "set", "vip", "up")
        self.server = subprocess.Popen(["nsenter", "--net=/run/netns/vip", "python3", "-c", SERVER],
                                       stdout=subprocess.PIPE)
        assert self.server.stdout.readline() == b"ready\n"
        self.first_elements = self.elements()

    @staticmethod
    def _call(verb, conf, container, ifname, netns):
        run(BUILD / "byway", input=json.dumps(conf), env={
            "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_IFNAME": ifname, "CNI_NETNS": netns,
            "CNI_PATH": str(PLUGINS)})

    def stop(self):
        if self.server:
            self.server.kill()
            self.server.wait()
        run("ip", "netns", "delete", "vip", check=False)
        run("umount", "/sys/fs/cgroup", check=False)

    # --- what a test says and asks ---

    @staticmethod
    def write_network(name, plugins, version="1.0.0"):
        """The only network configuration there is, or one more for a runtime that chooses by name."""
        NETWORKS.mkdir(parents=True, exist_ok=True)
        conf = {"cniVersion": version, "name": name, "plugins": plugins}
        (NETWORKS / f"{name}.conflist").write_text(json.dumps(conf), encoding="utf-8")

    @staticmethod
    def forget_networks():
        for path in NETWORKS.glob("*"):
            path.unlink()

    @staticmethod
    def forget_calls():
        CALLS.write_text("", encoding="ascii")

    @staticmethod
    def calls():
        """["VERB STATUS"] of the plugin's calls since the test began."""
        return CALLS.read_text(encoding="ascii").splitlines()

    @staticmethod
    def leases():
        return held("vpn")

    def ports(self):
        """Whose ports there are: the first two words of their aliases, "byway CONTAINER/INTERFACE"."""
        return {" ".join(str(alias).split(" ")[:2]) for alias in self.host.ports()} - {"byway vip/net1"}

    def detach_all(self):
        """What a failed test has left, so that the next one begins with nothing."""
        for lease in self.leases():
            self._call("DEL", {"cniVersion": "1.0.0", "name": "vpn", **byway()}, lease[3], lease[4], "")

    @staticmethod
    def elements():
        """The elements of every set and map of nftables in the networks' namespace, but those that the packet
        path makes and that expire by themselves."""
        out = run("nsenter", f"--net={NETNS}", "nft", "-j", "list", "ruleset").stdout
        sets = [o.get("set") or o.get("map") for o in json.loads(out)["nftables"]]
        return [e for s in sets if s and "timeout" not in s.get("flags", []) for e in s.get("elem", [])]

    def assert_nothing_left(self):
        """Address and port go with DEL. What is entered in nftables goes with the port, by DEL or, where the
        port went with its namespace before, by the agent."""
        assert self.leases() == []
        assert self.ports() == set()
        wait_for(lambda: self.elements() == self.first_elements, "no element of a port that is gone")


def has_ended(pid):
    """Is the process gone, or a zombie that nobody has waited for?"""
    try:
        return ") Z " in pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill_process(pid):
    """SIGKILL to it, and the wait for its end."""
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: has_ended(pid), f"the end of process {pid}")
