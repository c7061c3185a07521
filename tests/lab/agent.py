"""A Byway program that runs in a node or a pod: started, asked, ended."""
import json
import os
import signal
import socket
import time

from .namespaces import STATE


class Agent:
    """One program in one namespace; `name` is that of its configuration and its control socket."""

    def __init__(self, namespace, program, name):
        self.namespace, self.program, self.name = namespace, program, name
        self.process = None

    def start(self):
        """Starts it; what it says lands in log/NAMESPACE-PROGRAM.log."""
        self.process = self.namespace.spawn(
            f"/byway/build/{self.program}", "--config", f"/etc/byway/{self.name}.json",
            log=f"{self.namespace.name}-{self.program}")

    def last_words(self):
        """The last line it said."""
        file = STATE / "log" / f"{self.namespace.name}-{self.program}.log"
        return file.read_text(errors="replace").strip().rpartition("\n")[2]

    def pid(self):
        """Its process id seen from here (nsenter stands between where the pod has its own), or 0."""
        for pid in self.namespace.processes():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"/" + self.program.encode()):
                return pid
        return 0

    def signal(self, number):
        """Sends a signal to the program itself."""
        pid = self.pid()
        if not pid:
            raise RuntimeError(f"{self.namespace.name}: {self.program} is not running")
        os.kill(pid, number)

    def stop(self, timeout=30):
        """Ends it by SIGTERM, as a pod's deletion does, and returns its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        """Kills the program alone, leaving its children."""
        self.signal(signal.SIGKILL)
        return self.wait(10)

    def wait(self, timeout):
        """Waits for its end and returns the exit status, None where this process did not start it."""
        if self.process:
            return self.process.wait(timeout)
        deadline = time.monotonic() + timeout
        while self.pid():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.namespace.name}: {self.program} does not end")
            time.sleep(0.05)
        return None

    def restart(self):
        """Ends it by SIGTERM and starts it again."""
        self.stop()
        self.start()

    def get(self, path):
        """Status and body of a GET on its control socket; raises OSError where it does not answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.namespace.path(f"/run/byway/{self.name}.sock")))
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = b""
            while part := connection.recv(65536):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/"):
            raise OSError(f"{self.program} of {self.namespace.name}: no answer to {path}")
        return int(head.split()[1]), body.decode()

    def status(self):
        """Its status document, or {} while it does not answer."""
        try:
            code, body = self.get("/status")
        except OSError:
            return {}
        return json.loads(body) if code == 200 else {}

    def is_ready(self):
        """What it says itself: traffic passes, or would. One that ended will never be: an error."""
        if self.process and self.process.poll() is not None:
            raise RuntimeError(f"{self.program} of {self.namespace.name} ended with exit status "
                               f"{self.process.returncode}: {self.last_words()}")
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False
