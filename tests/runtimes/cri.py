"""Pods as the kubelet asks a container runtime for them: the Container Runtime Interface, spoken by hand.

Source: k8s.io/cri-api/pkg/apis/runtime/v1/api.proto, for the numbers of the fields.
"""
import hashlib
import io
import json
import pathlib
import tarfile

import grpc


def field(number, value):
    """A field of a protobuf message: an integer, or text, bytes or a message by its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def fields(data):
    """{number: value} of a message; of a field that is there more than once, the last."""
    found, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(data):
        key = number()
        value = number()
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        found[key >> 3] = value
    return found


class Kubelet:
    """Its calls, to the socket of a runtime."""

    def __init__(self, socket):
        self.channel = grpc.insecure_channel(f"unix:{socket}")

    def _call(self, method, request):
        # Without a serializer: bytes both ways.
        return fields(self.channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")(request, timeout=30))

    def network_ready(self):
        """Has the runtime a network configuration? Of the conditions (type 1, status 2) the network's counts."""
        answer = self._call("Status", b"")
        return b"NetworkReady\x10\x01" in answer[1]

    def run(self, name, uid, attempt=0):
        """A pod's sandbox; returns its id."""
        metadata = field(1, name) + field(2, uid) + field(3, "default") + field(4, attempt)
        config = field(1, metadata) + field(3, "/tmp")
        return self._call("RunPodSandbox", field(1, config))[1].decode()

    def status(self, sandbox):
        """(is it ready, address)"""
        status = fields(self._call("PodSandboxStatus", field(1, sandbox))[1])
        return status.get(3, 0) == 0, fields(status[5]).get(1, b"").decode()

    def stop(self, sandbox):
        self._call("StopPodSandbox", field(1, sandbox))

    def remove(self, sandbox):
        self._call("RemovePodSandbox", field(1, sandbox))


def _archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def pause_image(name):
    """An image for sandboxes that sleeps, in the format of `docker save`."""
    layer = _archive({"busybox": pathlib.Path("/bin/busybox").read_bytes()})
    config = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/busybox", "sleep", "3600"]},
              "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    return _archive({"layer.tar": layer, "config.json": json.dumps(config).encode(),
                     "manifest.json": json.dumps(manifest).encode()})
