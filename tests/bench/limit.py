"""A limit of CPU time by a control group, of version 2 or 1, made for one measurement and removed after it."""
import contextlib
import os
import pathlib
import tempfile

from lab.host import run


class CpuLimit:
    """One group for each name, `quota_ms` of CPU time in every `period_ms`."""

    class Impossible(Exception):
        """This machine has no control group that we could limit; says why."""

    def __init__(self, quota_ms, period_ms):
        self.quota, self.period = quota_ms * 1000, period_ms * 1000
        self.kind = self.parent = None
        self.groups = {}
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        why = []
        for kind, options in (("2", ["-t", "cgroup2"]), ("1", ["-t", "cgroup", "-o", "cpu"])):
            place = self.stack.enter_context(tempfile.TemporaryDirectory())
            tried = run("mount", *options, "cgroup", place, check=False)
            if tried.returncode == 0:
                self.stack.callback(run, "umount", place)
                if self._limits_cpu(pathlib.Path(place), kind):
                    self.kind, self.parent = kind, pathlib.Path(place)
                    return self
            said = tried.stderr.partition("\n")[0]
            why.append(f"version {kind}: {said or 'no CPU controller for new groups'}")
        self.stack.close()
        raise self.Impossible("; ".join(why))

    @staticmethod
    def _limits_cpu(place, kind):
        """Can new groups of this hierarchy be limited? We take it as it is: it is the machine's own."""
        return kind == "1" or "cpu" in (place / "cgroup.subtree_control").read_text(encoding="ascii").split()

    def group(self, name):
        """The file of process ids of the group of that name, which is made where it is missing."""
        if name not in self.groups:
            self.groups[name] = self._make(self.parent / f"byway-bench-{os.getpid()}-{name}")
        return self.groups[name] / "cgroup.procs"

    def _make(self, path):
        try:
            path.mkdir()
            self.stack.callback(path.rmdir)
            if self.kind == "2":
                (path / "cpu.max").write_text(f"{self.quota} {self.period}", encoding="ascii")
            else:
                (path / "cpu.cfs_period_us").write_text(str(self.period), encoding="ascii")
                (path / "cpu.cfs_quota_us").write_text(str(self.quota), encoding="ascii")
        except OSError as e:
            raise self.Impossible(f"version {self.kind}: {e}") from e
        return path

    def __exit__(self, *_):
        self.stack.close()
