"""The log: a line for each command in the file that the configuration names, and never a reason to
fail or a word on standard output."""
import json
import os
import re
import stat
import subprocess
import threading

import pytest

from node import BUILD

CONTAINER = "0123456789abcdef0123456789abcdef"


@pytest.fixture(name="log")
def log_file(tmp_path):
    return tmp_path / "byway.log"


def lines(log):
    """[{key: value}] of a file in which everything is a whole line."""
    text = log.read_text() if log.exists() else ""
    assert text == "" or text.endswith("\n")
    pairs = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^" ]+)(?: |$)')
    found = []
    for line in text.splitlines():
        assert re.sub(pairs, "", line) == "", line
        found.append({key: re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value
                      for key, value in pairs.findall(line)})
    return found


def test_each_command_leaves_a_line(node, log):
    pod = node.pod("a")
    conf = node.conf(logFile=str(log), cniVersion="1.1.0")
    node.add(pod, CONTAINER, conf, uid="uid-1")
    node.delete(pod, CONTAINER, conf)
    assert node.cni("STATUS", None, "", conf) == (0, None)
    add, delete, status = lines(log)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", add.pop("ts"))
    assert 0 < float(add.pop("took_ms")) < 5000
    assert add == {"level": "info", "msg": "done", "command": "ADD", "network": "vpn",
                   "container": CONTAINER[:12], "interface": "net1", "pod_namespace": "default",
                   "pod": "web-0", "code": "0"}
    assert (delete["command"], delete["code"]) == ("DEL", "0") and "pod" not in delete
    assert status["command"] == "STATUS" and "container" not in status


def test_failure_tells_code_and_cause(node, log):
    pod = node.pod("a")
    status, error = node.cni("ADD", pod, CONTAINER, node.conf(logFile=str(log), role='no "role"\n'))
    assert (status, error["code"]) == (2, 7)
    line, = lines(log)
    assert (line["level"], line["msg"], line["code"]) == ("error", "failed", "7")
    assert line["error"] == error["details"]


def test_file_is_private(node, log):
    assert node.cni("STATUS", None, "", node.conf(logFile=str(log)))[0] == 0
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize("level,words", [
    ("error", ["failed"]), ("warning", ["failed"]), ("warn", ["failed"]),
    ("info", ["done", "failed"]), (None, ["done", "failed"]), ("debug", ["begins", "done", "begins", "failed"]),
])
def test_level(node, log, level, words):
    node.cni("STATUS", None, "", node.conf(logFile=str(log), logLevel=level))
    node.cni("STATUS", None, "", node.conf(logFile=str(log), logLevel=level, network="other"))
    assert [line["msg"] for line in lines(log)] == words


def test_collected_leases_are_told(node, log):
    node.take("vpn", CONTAINER, "net1", 300)
    conf = node.conf(cniVersion="1.1.0", logFile=str(log), **{"cni.dev/valid-attachments": []})
    assert node.cni("GC", None, "", conf) == (0, None)
    freed, _ = lines(log)
    assert freed["msg"] == "freed" and freed["container"] == CONTAINER[:12]
    assert freed["address"] == "192.168.50.1"


@pytest.mark.parametrize("path", ["/nowhere/at/all", "/etc", "/dev/full",
                                  pytest.param("/" + "x" * 5000, id="5000 letters")])
def test_no_log_is_no_failure(node, path):
    pod = node.pod("a")
    node.add(pod, "c1", node.conf(logFile=path))
    node.delete(pod, "c1", node.conf(logFile=path))


@pytest.mark.parametrize("path", ["/dev/stdout", "/proc/self/fd/1"])
def test_never_on_standard_output(node, path):
    result = node.add(node.pod("a"), "c1", node.conf(logFile=path))
    assert result["interfaces"][0]["name"] == "net1"


def test_pipe_that_nobody_reads_is_no_obstacle(node, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert node.cni("STATUS", None, "", node.conf(logFile=str(tmp_path / "pipe")))[0] == 0


def test_lines_of_parallel_commands_stay_whole(node, log):
    conf = node.conf(logFile=str(log), vip="x" * 200)

    def run():
        for _ in range(20):
            subprocess.run([BUILD / "byway"], input=json.dumps(conf), text=True, check=False,
                           env=node.environment("STATUS", None, ""), capture_output=True)
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line["code"] for line in lines(log)] == ["7"] * 160


def test_without_the_key_there_is_nothing_anywhere(node):
    out = subprocess.run([BUILD / "byway"], input=json.dumps(node.conf(logLevel="debug")), text=True,
                         env=node.environment("STATUS", None, ""), capture_output=True, check=True)
    assert out.stdout == "" and out.stderr == ""
