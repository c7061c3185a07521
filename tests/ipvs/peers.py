"""peers.py server PORT | client ADDRESS PORT COUNT: TCP connections on which either side can speak first.

Commands come on standard input, a line each, and are answered with a number on standard output:

    say N     each connection sends a line; how many of N were answered by the far end's echo (client)
    push N    each connection sends a line; how many have taken it (server)
    hear N    how many of N connections have heard a pushed line that they had not before (client)

Each gives up after PATIENCE seconds without anything new.
"""
import selectors
import socket
import sys
import time

PATIENCE = 15


class Peers:
    """Connections, and what each has heard."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.heard = {}          # connection: lines that nobody has asked for yet
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)

    def add(self, connection):
        """A connection that is open."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard[connection] = []
        self.selector.register(connection, selectors.EVENT_READ, None)

    def read(self, connection):
        """Takes what has come; the server answers a question."""
        try:
            data = connection.recv(4096)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(connection)
            del self.heard[connection]
            return
        for line in data.split():
            if line == b"question":
                connection.send(b"answer\n")
            else:
                self.heard[connection].append(line)

    def wait(self, word, count):
        """How many connections have heard the word, after as long as it takes."""
        got, end = 0, time.monotonic() + PATIENCE
        while got < count and time.monotonic() < end:
            for key, _ in self.selector.select(0.2):
                if key.fileobj in self.heard:
                    self.read(key.fileobj)
            for lines in self.heard.values():
                if word in lines:
                    lines.remove(word)
                    got += 1
                    end = time.monotonic() + PATIENCE
        return got

    def send(self, text):
        """Sends it on each; how many took it."""
        taken = 0
        for connection in list(self.heard):
            try:
                taken += connection.send(text) > 0
            except OSError:
                pass
        return taken

    def obey(self, line):
        """Carries a command out and prints its answer."""
        verb, count = line.split()
        if verb == "say":
            self.send(b"question\n")
            done = self.wait(b"answer", int(count))
        elif verb == "push":
            done = self.send(b"news\n")
        else:
            done = self.wait(b"news", int(count))
        print(done, flush=True)


def main():
    """Runs until standard input ends."""
    peers, listener = Peers(), None
    if sys.argv[1] == "server":
        listener = socket.create_server(("", int(sys.argv[2])), backlog=1024)
        peers.selector.register(listener, selectors.EVENT_READ, None)
    else:
        for _ in range(int(sys.argv[4])):
            peers.add(socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=20))
    print(len(peers.heard), flush=True)
    while True:
        for key, _ in peers.selector.select():
            if key.fileobj is listener:
                peers.add(listener.accept()[0])
            elif key.fileobj is not sys.stdin:
                if key.fileobj in peers.heard:
                    peers.read(key.fileobj)
            else:
                line = sys.stdin.readline()
                if not line:
                    return
                peers.obey(line)


if __name__ == "__main__":
    main()
