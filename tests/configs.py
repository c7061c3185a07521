"""Runs every program over its corpus of configurations.

tests/good-config/PROGRAM/*.json must be taken (--check, exit status 0).
tests/bad-config/PROGRAM/NAME.json must be refused with exit status 2 and one line that begins with
the file's name and holds every line of NAME.expected; NAME.setup, where there is one, is a shell
script run first in the (temporary) directory of the configuration.
The CNI plugin (PROGRAM byway) gets its configuration on standard input and answers with an error
document.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


def check_daemon(program, config, cwd):
    return subprocess.run([BUILD / program, "--check", "--config", config.name], cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)


def refused_by_daemon(program, config, expected, cwd):
    """None where the program refuses as it must, else what is wrong."""
    run = check_daemon(program, config, cwd)
    if run.returncode != 2:
        return f"exit status {run.returncode}, not 2: {run.stderr!r}"
    lines = run.stderr.splitlines()
    if len(lines) != 1 or run.stdout:
        return f"not one line on stderr alone: {run.stdout!r} {run.stderr!r}"
    missing = [e for e in expected if e not in lines[0]]
    return f"{lines[0]!r} lacks {missing}" if missing else None


def refused_by_cni(config, expected, cwd):
    """The same for the CNI plugin: exit status 2 and an error document, as the plugin documents."""
    env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "bad-config", "CNI_IFNAME": "net1",
           "CNI_NETNS": "/proc/self/ns/net", "CNI_PATH": "/opt/cni/bin"}
    run = subprocess.run([BUILD / "byway"], cwd=cwd, env=env, stdin=config.open("rb"),
                         capture_output=True, timeout=20)
    if run.returncode != 2:
        return f"exit status {run.returncode}, not 2: {run.stdout!r}"
    try:
        error = json.loads(run.stdout)
    except ValueError:
        return f"not JSON: {run.stdout!r}"
    text = f"{error.get('code')} {error.get('msg')} {error.get('details', '')}"
    missing = [e for e in expected if e not in text]
    return f"{text!r} lacks {missing}" if missing else None


def bad(program, config):
    expected = config.with_suffix(".expected").read_text().splitlines()
    if not any(expected):
        return "no expectation"
    with tempfile.TemporaryDirectory() as tmp:
        shutil.copytree(config.parent, tmp, dirs_exist_ok=True)
        setup = config.with_suffix(".setup")
        if setup.exists():
            subprocess.run(["sh", setup.name], cwd=tmp, check=True)
        here = pathlib.Path(tmp) / config.name
        if program == "byway":
            return refused_by_cni(here, expected, tmp)
        return refused_by_daemon(program, here, expected, tmp)


def good(program, config):
    with tempfile.TemporaryDirectory() as tmp:
        shutil.copytree(config.parent, tmp, dirs_exist_ok=True)
        for key in pathlib.Path(tmp).glob("**/*.conf"):
            os.chmod(key, 0o600)
        run = check_daemon(program, pathlib.Path(tmp) / config.name, tmp)
    return None if run.returncode == 0 else f"refused: {run.stderr!r}"


def main():
    counted, failures = 0, []
    for kind, verdict in (("bad-config", bad), ("good-config", good)):
        for config in sorted((ROOT / "tests" / kind).glob("*/*.json")):
            counted += 1
            wrong = verdict(config.parent.name, config)
            if wrong:
                failures.append(f"{config.relative_to(ROOT)}: {wrong}")
    print("\n".join(failures), file=sys.stderr)
    print(f"{counted} configurations, {len(failures)} wrong")
    return 1 if failures or not counted else 0


if __name__ == "__main__":
    sys.exit(main())
