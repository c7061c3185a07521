"""ADD that fails somewhere leaves everything as it was: the pod, the bridge, the leases, the delegate."""
import errno
import json
import os
import re
import subprocess

import pytest

from node import BUILD, VIP


def links(namespace):
    return {name: (link.get("ifalias"), link["ifindex"], link.get("master"))
            for name, link in namespace.links().items()}


def lines(namespace, *command):
    """Without what the kernel does to the primary interface in its own time."""
    return [line for line in namespace(*command).stdout.splitlines() if "eth0" not in line]


def state(node, pod):
    """Everything an ADD could have touched. Of a lease table who holds what: the memory of who had
    a free address, and the turn in which they are given, may go on."""
    found = {"ports": links(node.agent), "links": links(pod), "leases": node.held("vpn"),
             "ruleset of the bridges": lines(node.agent, "nft", "list", "ruleset"),
             "ruleset of the pod": lines(pod, "nft", "list", "ruleset"),
             "host-local": [path.name for path in (node.leases / "host-local/vpn").glob("[0-9]*")]}
    for family in ("-4", "-6"):
        found[f"rules {family}"] = lines(pod, "ip", family, "rule", "show")
        found[f"routes {family}"] = lines(pod, "ip", family, "route", "show", "table", "all")
    return found


def delegated(node):
    return {"type": "host-local", "dataDir": str(node.leases / "host-local"),
            "ranges": [[{"subnet": "192.168.50.0/24", "gateway": VIP}]]}


def run(node, pod, conf, *wrapper, **kwargs):
    env = {**node.environment("ADD", pod, "c1", CNI_PATH="/usr/lib/cni"), "PATH": os.environ["PATH"]}
    return subprocess.run([*wrapper, BUILD / "byway"], input=json.dumps(conf), text=True, env=env,
                          check=False, timeout=20, **{"stdout": subprocess.PIPE, **kwargs})


@pytest.fixture(params=["built-in", "delegated", "gateway"])
def conf(request, node):
    if request.param == "gateway":
        return node.conf("gateway", subnet=None)
    return node.conf(ipam=delegated(node) if request.param == "delegated" else None)


# --- a system call fails: each in its turn ---

CALLS = ["openat", "setns", "socket", "sendmsg", "recvmsg", "ioctl", "bind", "setsockopt",
         "mmap", "fcntl", "flock", "write"]


def delete(node, conf):
    node.delete(None, "c1", conf, CNI_PATH="/usr/lib/cni")


def traced(node, pod, conf, call, *more):
    """An ADD of which strace sees the plugin's own calls, not its delegate's."""
    done = run(node, pod, conf, "strace", "-qq", "-e", f"trace={call}", "-e", "signal=none", *more,
               stderr=subprocess.PIPE)
    return done, len(re.findall(rf"^{call}\(", done.stderr, re.MULTILINE))


@pytest.mark.parametrize("call", CALLS)
def test_failing_system_call(node, conf, call):
    done, total = traced(node, node.pod("first"), conf, call)
    assert done.returncode == 0, done.stdout
    delete(node, conf)
    pod = node.pod("a")
    before, failed = state(node, pod), 0
    for turn in range(1, total + 1):
        done, _ = traced(node, pod, conf, call, "-e", f"inject={call}:error=EIO:when={turn}")
        if done.returncode > 0:
            failed += 1
            # What cannot be said on standard output is said by the exit status alone.
            assert call == "write" or json.loads(done.stdout)["code"], done.stdout
        else:
            # It did not matter; or the way back to its own namespace is barred: then it stops as if
            # killed, and DEL puts right what that left.
            assert done.returncode == 0 or call in ("openat", "setns"), done.stderr
            delete(node, conf)
            pod.delete()
            node.namespaces.remove(pod)
            pod = node.pod("a")
            before = {**state(node, pod), "ports": before["ports"]}
        after = state(node, pod)
        changed = [key for key in before if before[key] != after[key]]
        # Where the kernel's answers are lost, what it may have made of the pod's own rules and
        # routes to nowhere stays: that is the side on which nothing leaks.
        if call == "recvmsg" and done.returncode > 0:
            changed = [key for key in changed if key.split()[0] not in ("routes", "rules", "ruleset")]
        assert not changed, f"{call} number {turn} of {total}: {[after[key] for key in changed]}"
    assert failed or not total, f"none of {total} was missed"


# --- and as it happens ---

def refused(node, pod, conf, code):
    before = state(node, pod)
    done = run(node, pod, conf)
    assert done.returncode and json.loads(done.stdout)["code"] == code, done.stdout
    assert state(node, pod) == before


def test_port_in_the_way(node, conf):
    other = node.pod("first")
    assert run(node, other, conf).returncode == 0
    name = node.ports()["byway c1/net1"]["ifname"]
    delete(node, conf)
    node.agent("ip", "link", "add", name, "type", "veth", "peer", "name", "peer")
    refused(node, node.pod("a"), conf, 103)
    delete(node, conf)
    assert name in node.agent.links()


def test_interface_in_the_way(node, conf):
    pod = node.pod("a")
    pod("ip", "link", "add", "net1", "type", "veth", "peer", "name", "peer")
    table = (node.leases / "vpn").read_bytes()
    refused(node, pod, conf, 103)
    assert (node.leases / "vpn").read_bytes() == table
    assert not (node.leases / "host-local").exists()


def test_bridge_missing(node, conf):
    node.agent("ip", "link", "delete", "br-vpn")
    refused(node, node.pod("a"), conf, 11)


@pytest.mark.parametrize("redirection, error", [
    (">/dev/full", errno.ENOSPC), (">&-", errno.EBADF), ("<&0 >&- 2>&-", errno.EBADF),
    ("| true", errno.EPIPE), ("1</dev/null", errno.EBADF)])
def test_output_that_goes_nowhere(node, conf, redirection, error):
    """Nothing that the plugin opens becomes standard output; the log, which is left, says why."""
    pod = node.pod("a")
    log = node.leases / "log"
    conf = {**conf, "logFile": str(log)}
    before = state(node, pod)
    # A reader that has gone before anything is written: the plugin waits for the end of its input.
    script = f'{{ sleep 0.1; cat; }} | ( "$0"; echo $? >&9 ) {redirection}'
    read, write = os.pipe()
    run(node, pod, conf, "bash", "-c", f"exec 9>&{write}; {script}", pass_fds=[write],
        stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as status:
        assert status.read() == "1\n"
    assert f'error="standard output: {os.strerror(error)}"' in log.read_text()
    assert state(node, pod) == before


def test_namespace_of_the_host(node, conf):
    pod = node.pod("a")
    before = state(node, pod)
    pod.path, path = "/proc/self/ns/net", pod.path
    done = run(node, pod, conf)
    pod.path = path
    assert json.loads(done.stdout)["code"] == 8
    assert state(node, pod) == before and not (node.leases / "host-local").exists()


def test_ten_for_the_same_interface(node, conf):
    """A runtime does not do this. One is made, whole, and the others harm nothing."""
    pod = node.pod("a")
    env = node.environment("ADD", pod, "c1", CNI_PATH="/usr/lib/cni")
    running = []
    for _ in range(10):
        process = subprocess.Popen([BUILD / "byway"], stdin=subprocess.PIPE, text=True, env=env,
                                   stdout=subprocess.PIPE)
        running.append(process)
    for process in running:
        process.stdin.write(json.dumps(conf))
        process.stdin.close()
    answers = [json.loads(process.stdout.read()) for process in running]
    assert [process.wait() for process in running].count(0) == 1
    made = next(answer for answer in answers if "code" not in answer)
    assert {answer["code"] for answer in answers if "code" in answer} <= {11, 103}
    assert pod.links()["net1"]["address"] == made["interfaces"][0]["mac"]
    assert pod.addresses("net1") == [ip["address"] for ip in made["ips"]]
    assert list(node.ports()) == ["byway c1/net1"]
    if "ipam" in conf:
        assert len(state(node, pod)["host-local"]) == 1
    elif made["ips"]:
        assert [lease[2:4] for lease in node.held("vpn")] == [("active", "c1")]
    delete(node, conf)
    assert node.ports() == {} and node.held("vpn") == []
