"""python3 -m bench PART: measures one part and puts it into build/bench.json, beside the others."""
import importlib
import json
import os
import pathlib
import platform
import sys

from . import figures

DOCUMENT = pathlib.Path(__file__).resolve().parent.parent.parent / "build/bench.json"


def first(path, key):
    """The value of the first "key: value" in a file of /proc, or None."""
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def machine():
    """What the figures depend on and a reader cannot see."""
    return {"kernel": platform.release(), "lab": os.environ.get("LAB_MODE"),
            "cores": len(os.sched_getaffinity(0)), "processor": first("/proc/cpuinfo", "model name"),
            "memory_kib": int(first("/proc/meminfo", "MemTotal").split()[0])}


def write(part, result):
    """By rename: a run that is ended leaves the document as it was."""
    try:
        document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        document = {}
    document[part] = result
    new = DOCUMENT.with_suffix(".new")
    new.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    new.rename(DOCUMENT)


def main(part):
    module = importlib.import_module(f".{part}", __package__)
    where = machine()
    print(f"{part}: {module.PART}\nkernel {where['kernel']}, {where['cores']} cores, "
          f"{where['processor']}", flush=True)
    result, rows = module.measure()
    figures.print_table(result, rows)
    write(part, {"machine": where, **result})


main(sys.argv[1])
