"""containerd, driven by ctr, and by the calls of a kubelet."""
import pathlib
import subprocess

from cri import Kubelet, pause_image
from lab.host import run
from machine import NETWORKS, PLUGINS, ROOT, wait_for

DIRECTORY = pathlib.Path("/run/containerd-test")
SOCKET = DIRECTORY / "socket"
LOG = DIRECTORY / "log"
IMAGE = "local/pause:1"

# runc wants control groups of its own; crun can do without.
RUNTIME = pathlib.Path("/usr/local/bin/crun-without-cgroups")

CONFIG = f"""
version = 2
root = "{DIRECTORY}/root"
state = "{DIRECTORY}/state"
[grpc]
address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{IMAGE}"
disable_cgroup = true
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{PLUGINS}"
conf_dir = "{NETWORKS}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
default_runtime_name = "crun"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
BinaryName = "{RUNTIME}"
"""


class Containerd:
    def __init__(self):
        self.process = self.kubelet = None

    def start(self):
        RUNTIME.write_text('#!/bin/sh\nexec crun --cgroup-manager=disabled "$@"\n', encoding="ascii")
        RUNTIME.chmod(0o755)
        DIRECTORY.mkdir()
        (DIRECTORY / "config.toml").write_text(CONFIG, encoding="ascii")
        with LOG.open("wb") as log:
            self.process = subprocess.Popen(["containerd", "--config", DIRECTORY / "config.toml"],
                                            stderr=log, stdout=log)
        wait_for(lambda: self.ctr("version", check=False).returncode == 0, "containerd")
        (DIRECTORY / "image.tar").write_bytes(pause_image(IMAGE))
        self.ctr("--namespace", "k8s.io", "images", "import", "--snapshotter", "native",
                 DIRECTORY / "image.tar")
        self.kubelet = Kubelet(SOCKET)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()

    def ctr(self, *words, check=True):
        return run("ctr", "--address", SOCKET, *words, check=check, timeout=60)

    def run(self, name, *command):
        """ctr with a container on the network in the foreground: it does ADD, waits and does DEL."""
        return subprocess.Popen(
            ["ctr", "--address", SOCKET, "run", "--rm", "--cni", "--env", "PATH=/bin", "--runc-binary", RUNTIME,
             "--rootfs", ROOT, name, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def pid(self, name, namespace="default"):
        """Process id of a container that runs, or 0."""
        for line in self.ctr("--namespace", namespace, "tasks", "list").stdout.splitlines():
            words = line.split()
            if words[0] == name and words[2] == "RUNNING":
                return int(words[1])
        return 0
