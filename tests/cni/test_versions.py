"""Results in each version of the specification, VERSION, and what is wrong in the environment."""
import json
import subprocess

import pytest

from node import BUILD, SPLIT, VIP

VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


@pytest.mark.parametrize("version", VERSIONS + [None, ""])
def test_result_version(node, version):
    pod = node.pod("a")
    result = node.add(pod, "c1", node.conf(cniVersion=version))
    version = version or "0.1.0"
    routes = [{"dst": dst, "gw": VIP} for dst in SPLIT]
    interface = {"name": "net1", "mac": "02:bb:c0:a8:32:01", "sandbox": pod.path}
    if version == "1.1.0":
        interface["mtu"] = 1400
    ip = {"interface": 0, "address": "192.168.50.1/24", "gateway": VIP}
    if version.startswith("0."):
        ip["version"] = "4"
    if version in ("0.1.0", "0.2.0"):
        wanted = {"ip4": {"ip": "192.168.50.1/24", "gateway": VIP, "routes": routes}}
    else:
        wanted = {"interfaces": [interface], "ips": [ip], "routes": routes}
    assert result == {"cniVersion": version, **wanted, "dns": {}}


def plugin(env, text=""):
    out = subprocess.run([BUILD / "byway"], input=text, env=env, capture_output=True, text=True,
                         check=False)
    return out.returncode, out.stdout, out.stderr


@pytest.mark.parametrize("text,version", [("", "1.1.0"), ("{}", "1.1.0"), ("{", "1.1.0"),
                                          ('{"cniVersion":"0.4.0"}', "0.4.0"),
                                          ('{"cniVersion":"9.9.9"}', "1.1.0")])
def test_version(text, version):
    status, out, _ = plugin({"CNI_COMMAND": "VERSION"}, text)
    assert status == 0
    assert json.loads(out) == {"cniVersion": version, "supportedVersions": VERSIONS}


def test_without_a_command_it_says_what_it_is():
    status, out, err = plugin({})
    assert status == 0 and not out and err.startswith("CNI plugin byway")


GOOD = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_IFNAME": "net1",
        "CNI_NETNS": "/proc/self/ns/net"}


@pytest.mark.parametrize("changes,words", [
    ({"CNI_COMMAND": "add"}, '"add"'),
    ({"CNI_CONTAINERID": "", "CNI_IFNAME": "", "CNI_NETNS": ""},
     "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME"),
    ({"CNI_NETNS": ""}, "CNI_NETNS"),
    ({"CNI_COMMAND": "DEL", "CNI_CONTAINERID": ""}, "CNI_CONTAINERID"),
    ({"CNI_CONTAINERID": "../etc"}, "CNI_CONTAINERID"),
    ({"CNI_CONTAINERID": "-a"}, "CNI_CONTAINERID"),
    ({"CNI_CONTAINERID": "a" * 129}, "CNI_CONTAINERID"),
    ({"CNI_IFNAME": "sixteen-letters-"}, "CNI_IFNAME"),
    ({"CNI_IFNAME": "a/b"}, "CNI_IFNAME"),
    ({"CNI_IFNAME": ".."}, "CNI_IFNAME"),
    ({"CNI_IFNAME": "a b"}, "CNI_IFNAME"),
    ({"CNI_IFNAME": "a:b"}, "CNI_IFNAME"),
    ({"CNI_IFNAME": b"a\xff"}, "UTF-8"),
    ({"CNI_NETNS": b"/run/\xff"}, "UTF-8"),
])
def test_bad_environment(changes, words):
    status, out, _ = plugin({**GOOD, **changes}, "{}")
    error = json.loads(out)
    assert (status, error["code"]) == (2, 4) and words in error["details"]
