"""Namespaces: made by a process that holds them, entered by nsenter.

A holder is a fork of this Python, which costs a tenth of starting anything under emulation. It
keeps its namespaces alive until it is killed, whatever else dies in them.
"""
import ctypes
import fcntl
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess

STATE = pathlib.Path("/run/lab")    # pid/NAME, log/NAME.log: where a later process finds everything

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 20

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    """A system call by its C name; raises OSError."""
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{args}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, data=None):
    """mount(2) with text arguments."""
    def raw(text):
        return text.encode() if text else None
    _call("mount", raw(source), raw(target), raw(kind), ctypes.c_ulong(flags), raw(data))


def _hold_files(directories, own_proc):
    """The holder's own view of files: what a container or a machine has for itself."""
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    for path in directories:
        os.makedirs(path, exist_ok=True)
        mount("tmpfs", path, "tmpfs", data="mode=755")
    if own_proc:
        mount("proc", "/proc", "proc")
    mount("sysfs", "/sys", "sysfs")


def _reap_forever():
    """Life of a first process: it takes over orphans and never ends by itself."""
    while True:
        signal.sigwait({signal.SIGCHLD})
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


def _become_holder(flags, directories, told):
    """In the child: makes the namespaces, tells its process id, stays. Never returns."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.setsid()
    _call("unshare", flags)
    if flags & CLONE_NEWPID:
        first = os.fork()   # only a child is inside a new process namespace
        if first:
            os._exit(0)
    if flags & CLONE_NEWNS:
        _hold_files(directories, flags & CLONE_NEWPID)
    # /proc is this namespace's by now; the outer number comes from the socket's credentials.
    told.send(b"up")
    told.close()
    os.closerange(3, 256)
    _reap_forever()


def start_holder(flags, directories=()):
    """Forks a holder of new namespaces and returns its process id, seen from here."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            _become_holder(flags, directories, theirs)
        except BaseException as problem:  # the parent shows it: this process has no output
            theirs.send(str(problem).encode())
        os._exit(1)
    theirs.close()
    with ours:
        text, ancillary, _, _ = ours.recvmsg(4096, socket.CMSG_SPACE(12))
    if flags & CLONE_NEWPID or text != b"up":
        os.waitpid(child, 0)
    if text != b"up":
        raise OSError(f"no namespace: {text.decode()}")
    return struct.unpack("iII", ancillary[0][2])[0]


class Namespace:
    """A network namespace by name, with what a machine or a pod has besides it."""

    FLAGS = CLONE_NEWNET
    DIRECTORIES = ()     # file systems of its own, empty at first

    def __init__(self, name):
        self.name = name
        self.pid = 0
        self._ip, self._nft, self._then = [], [], []

    # --- life --------------------------------------------------------------------------------------

    def start(self):
        """Makes the namespaces."""
        self.pid = start_holder(self.FLAGS, self.DIRECTORIES)
        (STATE / "pid").mkdir(parents=True, exist_ok=True)
        (STATE / "pid" / self.name).write_text(str(self.pid))

    def adopt(self):
        """Takes over the namespaces that an earlier process made."""
        self.pid = int((STATE / "pid" / self.name).read_text())

    def stop(self):
        """Ends everything in it, and it."""
        alive = os.path.exists(f"/proc/{self.pid}")
        for pid in [*self.processes(), self.pid] if alive else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        (STATE / "pid" / self.name).unlink(missing_ok=True)

    def processes(self):
        """Process ids of all that runs in it but the holder: by process namespace where it has its
        own, else by network namespace."""
        kind = "pid" if self.FLAGS & CLONE_NEWPID else "net"
        mine = os.readlink(f"/proc/{self.pid}/ns/{kind}")
        return [pid for pid in _all_processes()
                if pid != self.pid and _namespace_of(pid, kind) == mine]

    def path(self, inside):
        """A file of the namespace seen from here."""
        return pathlib.Path(f"/proc/{self.pid}/root{inside}")

    def write(self, inside, content, mode=0o644):
        """Writes a file in it; what is not text is written as JSON."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        path.chmod(mode)

    # --- running programs --------------------------------------------------------------------------

    def command(self, *words, net=None):
        """A command line that runs `words` inside; `net`: in another network namespace instead."""
        enter = ["nsenter", "-t", str(self.pid), f"--net={net}" if net else "-n"]
        if self.FLAGS & CLONE_NEWNS:
            enter.append("-m")
        if self.FLAGS & CLONE_NEWPID:
            enter.append("-p")
        return [*enter, "--", *map(str, words)]

    def run(self, *words, text=None, check=True, timeout=60, net=None, env=None):
        """Runs a program to its end and returns its output; its failure is an error with what it
        said, unless `check` is false."""
        done = subprocess.run(self.command(*words, net=net), input=text, text=True, env=env,
                              stdin=subprocess.DEVNULL if text is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, words))}: exit status "
                               f"{done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout if check else done

    def spawn(self, *words, log=None, **options):
        """Starts a program and returns its Popen; output goes to log/NAME.log of the state."""
        if log:
            (STATE / "log").mkdir(parents=True, exist_ok=True)
            options["stdout"] = options["stderr"] = open(STATE / "log" / f"{log}.log", "ab")
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(self.command(*words), start_new_session=True, **options)
        if log:
            options["stdout"].close()
        return process

    # --- configuring: collected first, then carried out by one child that enters the namespace -------
    # Starting a program costs the emulated machine far more than a fork; so no nsenter and no shell.

    def ip(self, *lines):
        """Adds lines for `ip -batch`."""
        self._ip += lines

    def nft(self, rules):
        """Adds nftables rules."""
        self._nft.append(rules)

    def then(self, step):
        """Adds a function that is called inside, after ip and nft."""
        self._then.append(step)

    def configure(self):
        """Starts carrying out what was collected; returns what wait_all() waits for."""
        ip, nft, then = self._ip, self._nft, self._then
        self._ip, self._nft, self._then = [], [], []

        def steps():
            if ip:
                feed("\n".join(ip), "ip", "-batch", "-")
            if nft:
                feed("\n".join(nft), "nft", "-f", "-")
            for step in then:
                step()
        return self.inside(steps)

    def inside(self, function):
        """Calls a function in a child that entered the network and mount namespaces; returns what
        wait_all() waits for."""
        reader, writer = os.pipe()
        child = os.fork()
        if child:
            os.close(writer)
            return self.name, child, reader
        status = 1
        try:
            for kind, flag in (("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS)):
                if self.FLAGS & flag:
                    enter(f"/proc/{self.pid}/ns/{kind}", flag)
            function()
            status = 0
        except BaseException as problem:    # the parent raises it: a child has no other voice
            os.write(writer, str(problem).encode()[:4000])
        finally:
            os._exit(status)


def enter(path, kind):
    """setns(2) by path."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    _call("setns", fd, kind)
    os.close(fd)


def feed(text, *words):
    """Runs a program with `text` on its standard input; its failure is an error with what it said."""
    done = subprocess.run(words, input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout.strip()}")


def set_sysctl(key, value):
    """Writes a sysctl of the namespace that this process is in."""
    pathlib.Path("/proc/sys", key.replace(".", "/")).write_text(str(value))


def link_switch():
    """What set_link() needs: it stands for the network namespace in which it was made."""
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def set_link(switch, name, up):
    """Takes a link up or down: netdevice(7)."""
    request = bytearray(struct.pack("16sH22x", name.encode(), 0))
    fcntl.ioctl(switch, SIOCGIFFLAGS, request)
    flags = struct.unpack_from("H", request, 16)[0]
    struct.pack_into("H", request, 16, flags | IFF_UP if up else flags & ~IFF_UP)
    fcntl.ioctl(switch, SIOCSIFFLAGS, bytes(request))


def wait_all(started):
    """Waits for children of inside(); the first failure is an error with what it said."""
    problems = []
    for name, child, reader in started:
        with open(reader, "rb") as told:
            text = told.read().decode()
        _, status = os.waitpid(child, 0)
        if status:
            problems.append(f"{name}: {text or f'wait status {status}'}")
    if problems:
        raise RuntimeError("; ".join(problems))


def _all_processes():
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _namespace_of(pid, kind):
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:     # ended meanwhile, or a zombie
        return None
