"""podman with its CNI backend."""
import json
import pathlib

from lab.host import run
from machine import NETWORKS, PLUGINS, ROOT

CONFIG = f"""
[containers]
default_ulimits = []
[network]
network_backend = "cni"
network_config_dir = "{NETWORKS}"
cni_plugin_dirs = ["{PLUGINS}"]
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "none"
"""


class Podman:
    def __init__(self, machine):
        self.machine = machine
        pathlib.Path("/etc/containers/containers.conf").write_text(CONFIG, encoding="ascii")

    def __call__(self, *words, check=True):
        return run("podman", "--storage-driver", "vfs", *words, check=check, timeout=60)

    def start(self, *networks, command=("sleep", "300")):
        """A container on these networks that runs in the background; returns its id."""
        options = [option for network in networks for option in ("--network", network)]
        return self("run", "--detach", "--cgroups=disabled", *options, "--rootfs", ROOT,
                    *command).stdout.strip()

    def ask(self, container, *command):
        return self("exec", container, *command).stdout

    def inspect(self, container):
        return json.loads(self("inspect", container).stdout)[0]

    def remove(self, container):
        self("rm", "--force", "--time", "0", container)
