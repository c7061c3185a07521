"""Programs started by build/tests/stopwatch."""
import collections
import pathlib
import subprocess
import tempfile

STOPWATCH = pathlib.Path(__file__).resolve().parent.parent.parent / "build/tests/stopwatch"

# Milliseconds of time and of processor, KiB of memory at most, of a program and its children.
Run = collections.namedtuple("Run", "wall cpu rss")


class Stopwatch:
    def __init__(self):
        self.directory = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([STOPWATCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.lines = []

    def _path(self, kind):
        return pathlib.Path(self.directory.name) / f"{kind}{len(self.lines)}"

    def add(self, program, text="", environment=None, group="-"):
        """`group`: the cgroup.procs of the control group that the program enters first."""
        self._path("in").write_text(text, encoding="utf-8")
        variables = [f"{name}={value}" for name, value in (environment or {}).items()]
        words = [str(group), str(self._path("in")), str(self._path("out")), str(program), *variables]
        assert not any(" " in word or "\n" in word for word in words), words
        self.lines.append(" ".join(words))

    def run(self, how="in-turn"):
        """Runs what was added, "in-turn" or "together": ([Run], milliseconds that all took)."""
        count, lines = len(self.lines), self.lines
        self.lines = []
        self.process.stdin.write("\n".join([*lines, how, ""]))
        self.process.stdin.flush()
        answers = [self.process.stdout.readline().split() for _ in range(count)]
        whole = float(self.process.stdout.readline()) / 1000
        for answer, line in zip(answers, lines):
            output = pathlib.Path(line.split(" ")[2])
            if answer[0] != "0":
                raise RuntimeError(f"{line}: exit status {answer[0]}: {output.read_text(encoding='utf-8')}")
        return [Run(float(a[1]) / 1000, float(a[2]) / 1000, int(a[3])) for a in answers], whole

    def time(self, program, text="", environment=None):
        """One program alone."""
        self.add(program, text, environment)
        return self.run()[0][0]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.directory.cleanup()
