"""The lab's machine itself as a node: byway-node as it runs on a host, for what is executed on a host (the
CNI plugin under a container runtime, or under a stopwatch). No installation stands around it."""
import json
import os
import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BYWAY_BUILD", ROOT / "build"))
CONFIG = pathlib.Path("/etc/byway/node.json")
LEASES = pathlib.Path("/run/byway/leases")
NETNS = "/run/netns/byway"
UNDERLAY = "172.20.0.11"


def run(*command, check=True, **kwargs):
    return subprocess.run([str(word) for word in command], check=check, capture_output=True, text=True,
                          **kwargs)


def held(network, directory=LEASES):
    """[(address, role, state, container id, interface, pod uid)] of a lease table."""
    out = run(BUILD / "tests/lease_ensure", "--list", directory, network).stdout
    return [tuple(line.split(" ")) for line in out.splitlines()]


class Host:
    """`networks` as in the configuration of byway-node."""

    def __init__(self, networks):
        run("ip", "address", "replace", f"{UNDERLAY}/32", "dev", "lo")
        CONFIG.parent.mkdir(exist_ok=True)
        CONFIG.write_text(json.dumps({
            "node": "host", "nodes": [{"name": "host", "address": UNDERLAY}],
            "metrics": {"address": "127.0.0.1", "port": 9000}, "networks": networks}), encoding="utf-8")
        self.log = pathlib.Path("/run/byway-node.log")
        self.agent = None

    def start(self):
        with self.log.open("ab") as log:
            self.agent = subprocess.Popen([BUILD / "byway-node"], stderr=log)
        deadline = time.monotonic() + 10
        while self._get("readyz") != "200":
            if self.agent.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"byway-node is not ready: {self.log.read_text(encoding='utf-8')}")
            time.sleep(0.05)

    def _get(self, path):
        return run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket",
                   "/run/byway/node.sock", f"http://node/{path}", check=False).stdout

    def links(self):
        """The links of the networks' namespace by name."""
        out = run("nsenter", f"--net={NETNS}", "ip", "-j", "-d", "link", "show").stdout
        return {link["ifname"]: link for link in json.loads(out)}

    def ports(self):
        """Ports of pods by alias."""
        return {link.get("ifalias"): link for name, link in self.links().items() if name.startswith("p")}

    def stop(self):
        """Ends the agent and throws its networks away."""
        if self.agent:
            self.agent.terminate()
            self.agent.wait(10)
            self.agent = None
        run("ip", "netns", "delete", os.path.basename(NETNS), check=False)
