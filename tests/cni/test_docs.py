"""docs/cni.md says what the plugin does: its examples work, its tables are complete."""
import json
import re
import subprocess

import pytest

from node import BUILD, ROOT

TEXT = (ROOT / "docs/cni.md").read_text()


def examples():
    """[(name, configuration)] of the NetworkAttachmentDefinitions."""
    found = []
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.S):
        assert "kind: NetworkAttachmentDefinition" in block
        name, config = re.search(r"\n  name: (\S+)\n.*\n  config: \|\n(.*)", block, re.S).groups()
        found.append((name, json.loads(config)))
    return found


def test_every_role_has_an_example():
    assert [conf["role"] for _, conf in examples()] == ["client", "router", "gateway", "sync"]


@pytest.mark.parametrize("name,conf", examples())
def test_example_is_taken(node, name, conf):
    """On a node that has the default address plan, whose namespace is elsewhere."""
    assert conf["name"] == name and conf["type"] == "byway"
    assert "netns" not in conf and "leaseDir" not in conf
    conf.update(netns=node.agent.path, leaseDir=str(node.leases))
    conf.pop("logFile", None)
    assert node.cni("STATUS", None, "", conf) == (0, None)


@pytest.mark.parametrize("name,conf", [e for e in examples() if e[1]["role"] != "router"])
def test_example_attaches_a_pod(node, name, conf):
    conf.update(netns=node.agent.path, leaseDir=str(node.leases))
    conf.pop("logFile", None)
    pod = node.pod("a")
    assert node.add(pod, "c1", conf)["interfaces"][0]["name"] == "net1"
    node.delete(pod, "c1", conf)


def test_delegated_example_attaches_a_pod(node, tmp_path):
    """With a delegate that answers as host-local does."""
    conf = json.loads(re.search(r"```json\n(.*?)```", TEXT, re.S).group(1))
    conf.update(netns=node.agent.path, leaseDir=str(node.leases))
    delegate = tmp_path / conf["ipam"]["type"]
    delegate.write_text("#!/bin/sh\n[ $CNI_COMMAND != ADD ] || echo "
                        "'{\"ips\": [{\"address\": \"192.168.50.10/24\"}]}'\n")
    delegate.chmod(0o755)
    pod = node.pod("a")
    env = {**node.environment("ADD", pod, "c1"), "CNI_PATH": str(tmp_path)}
    out = subprocess.run([BUILD / "byway"], input=json.dumps(conf), env=env, text=True, check=False,
                         capture_output=True)
    assert out.returncode == 0, out.stdout
    assert pod.addresses("net1") == [conf["ipam"]["ranges"][0][0]["rangeStart"] + "/24"]


def table_under(heading):
    """First cells of the first table behind a heading."""
    section = TEXT[re.search(rf"\n#+ {heading}\n", TEXT).end():]
    rows = re.search(r"\n((?:\|.*\n)+)", section).group(1).splitlines()[2:]
    return [row.split("|")[1].strip().strip("`") for row in rows]


def test_every_key_is_documented_and_no_other():
    source = (ROOT / "cni-plugin/netconf.c").read_text()
    fields = source[source.index("static const struct config_field fields[] = {\n\tFIELD("):]
    keys = re.findall(r'(?:FIELD\(|\.key = )"(\w+)"', fields[:fields.index("};")])
    assert len(keys) > 10
    assert sorted(table_under("Configuration")) == sorted(keys + ["cniVersion", "type"])


def test_every_code_is_documented_and_no_other():
    source = (ROOT / "cni-plugin/cni.h").read_text()
    codes = re.findall(r"\tCNI_[A-Z_]+ = (\d+),", source[source.index("enum cni_code {"):])
    assert table_under("Errors") == [code for code in codes if code != "0"]


def test_every_verb_is_documented_and_no_other():
    source = (ROOT / "cni-plugin/env.h").read_text()
    verbs = re.search(r"enum cni_verb \{(.*?)\}", source).group(1)
    assert sorted(table_under("Verbs")) == sorted(re.findall(r"VERB_(\w+)", verbs))
