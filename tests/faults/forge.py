"""Forged datagrams, in a network namespace of their own: forge.py SERVER SCENE... Prints figures; a failed check ends it with 1."""

import atexit
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time

PROGRAM = sys.argv[1]
PROBE = b"ACKSTAMP" + bytes(64)
STAMP = b"check\0\0\1" + bytes(64)


def bring_up_loopback():
    with socket.socket() as any_socket:
        request = struct.pack("16sh", b"lo", 0x1 | 0x40)
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS: up, running


class Server:
    """A server with an operator."""

    def __init__(self, host="127.0.0.1"):
        words = [PROGRAM, "-u", "-q", "--lang", "en", "--host", host, "-p", "0"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Whatever fails here, nothing is left running.
        atexit.register(self.process.kill)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def stats(self):
        self.process.stdin.write("stats\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return {name: float(value) for name, value in (field.split("=") for field in line.split())}

    def counts(self):
        stats = self.stats()
        return tuple(int(stats[name]) for name in ("datagrams_in", "datagrams_out", "unanswered"))

    def settled(self):
        """The counts once they have stood still for a while."""
        last, still = self.counts(), 0
        while still < 5:
            time.sleep(0.05)
            now = self.counts()
            still = still + 1 if now == last else 0
            last = now
        return last

    def receives(self, number):
        """Waits until so many came: a server that the machine holds up loses none of them to the kernel."""
        patience = time.monotonic() + 2
        while self.counts()[0] < number and time.monotonic() < patience:
            time.sleep(0.005)

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def serves(self, host="127.0.0.1"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(10)
            peer.connect((host, self.port))
            peer.send(b"hello")
            check(peer.recv(100) == b"check", "a normal peer is served")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        check(self.process.wait(10) == 0, "it ends with 0")


def check(holds, promise):
    if not holds:
        sys.exit(f"broken: {promise}")


bring_up_loopback()
RAW = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def packet(protocol, source, destination, payload):
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(destination)) + payload


def forge(source, source_port, destination, port, data):
    datagram = struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data
    RAW.sendto(packet(17, source, destination, datagram), (destination, 0))


def checksum(data):
    total = sum(word for (word,) in struct.iter_unpack("!H", data[: len(data) // 2 * 2]))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def own_address():
    for host, asked in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.0.0.2")):
        server = Server(host)
        before = server.cpu()
        forge(asked, server.port, asked, server.port, b"hello")
        time.sleep(0.5)
        counts, spent = server.settled(), server.cpu() - before
        print(f"own address forged as {asked} on a server bound to {host}: in/out/unanswered {counts}, CPU {spent:.2f} s")
        check(counts == (1, 0, 1), "nothing goes to the server itself")
        check(spent < 0.3, "it sleeps")
        server.serves(asked)
        server.end()


def source_port_0():
    server = Server()
    for _ in range(100):
        forge("127.0.0.1", 0, "127.0.0.1", server.port, b"hello")
    counts = server.settled()
    print(f"100 datagrams from port 0: in/out/unanswered {counts}")
    check(counts == (100, 0, 100), "nothing goes to port 0")
    server.serves()
    server.end()


def odd_sources():
    for host in ("127.0.0.1", "0.0.0.0"):
        server = Server(host)
        sources = ("255.255.255.255", "127.255.255.255", "224.0.0.1", "239.1.2.3", "240.0.0.1", "192.0.2.1")
        for source in sources:
            before = server.counts()
            for _ in range(20):
                forge(source, 4000, "127.0.0.1", server.port, b"hello")
            counts = tuple(now - then for now, then in zip(server.settled(), before))
            print(f"20 datagrams from {source} on {host}: in/out/unanswered {counts}")
            check(counts == (20, 0, 20), "nothing goes to a group, to everybody or to no network")
            # The port of the server itself: an answer would come back to it.
            forge(source, server.port, "127.0.0.1", server.port, b"hello")
        counts = server.settled()
        print(f"all from all of them, and one from each with the server's own port: in/out/unanswered {counts}")
        check(counts[1] == 0, "no answer leaves")
        server.serves()
        server.end()


def two_servers():
    first, second = Server(), Server()
    for message in (b"hello", PROBE):
        forge("127.0.0.1", second.port, "127.0.0.1", first.port, message)
    began = time.monotonic()
    time.sleep(2.5)
    counts = [server.counts() for server in (first, second)]
    seconds = time.monotonic() - began
    print(f"two servers played against each other for {seconds:.1f} s: in/out/unanswered {counts[0]} and {counts[1]}")
    check(sum(out for _, out, _ in counts) <= 4 + 2 * seconds, "two servers do not keep each other busy")
    # Each of these alone would keep a loop alive.
    words = (b"check", b"ACK", b"server is shutting down", b"idle timeout", b"server is full", b"message too long")
    for word in (*words, STAMP):
        for _ in range(20):
            forge("127.0.0.1", second.port, "127.0.0.1", first.port, word)
            forge("127.0.0.1", first.port, "127.0.0.1", second.port, word)
    time.sleep(1.5)
    counts = [server.counts() for server in (first, second)]
    seconds = time.monotonic() - began
    print(f"and with 280 forged replies more, after {seconds:.1f} s: {counts[0]} and {counts[1]}")
    check(sum(out for _, out, _ in counts) <= 4 + 2 * seconds, "replies are answered once a second at most")
    for server in (first, second):
        server.serves()
        server.end()


def icmp_storm():
    """Errors that claim that our answers found nobody, of every kind, while a peer talks."""
    server = Server()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(10)
        peer.connect(("127.0.0.1", server.port))
        port = peer.getsockname()[1]
        quoted = packet(17, "127.0.0.1", "127.0.0.1", struct.pack("!HHHH", server.port, port, 13, 0) + b"check")
        answered = 0
        for round_number in range(200):
            for kind, code in [(3, code) for code in range(16)] + [(11, 0), (12, 0), (4, 0)]:
                body = bytearray(struct.pack("!BBHI", kind, code, 0, 0) + quoted)
                struct.pack_into("!H", body, 2, checksum(body + b"\0"))
                RAW.sendto(packet(1, "127.0.0.1", "127.0.0.1", bytes(body)), ("127.0.0.1", 0))
            peer.send(b"hello")
            answered += peer.recv(100) == b"check"
    counts = server.settled()
    print(f"3800 ICMP errors of every kind beside a peer: {answered} of 200 answered, in/out/unanswered {counts}")
    check(answered == 200 and counts == (200, 200, 0), "nobody loses a reply to forged errors")
    server.end()


def link_where_nobody_answers():
    """A link with the network 10.66.0.0/16 on it, whose far end is nobody; False where there can be none."""
    try:
        tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"deaf", 0x2 | 0x1000))  # TUNSETIFF: tap, no header
    except OSError as error:
        print(f"skipped: no link of our own: {error}")
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for request, word in ((0x8916, "10.66.0.1"), (0x891C, "255.255.0.0")):  # SIOCSIFADDR, SIOCSIFNETMASK
            address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(word))
            fcntl.ioctl(any_socket, request, struct.pack("16s16s8x", b"deaf", address))
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"deaf", 0x1 | 0x40))
    return True


def nobody_on_link():
    """Answers to neighbours that are not there wait in the kernel until ARP gives up, after seconds."""
    if link_where_nobody_answers():
        nobody_answers(b"hello", 1)
        nobody_answers(PROBE, 11)


def nobody_answers(message, network):
    for attempt in range(3):
        server = Server("0.0.0.0")
        server.serves()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(10)
            peer.connect(("127.0.0.1", server.port))
            waits = []

            def exchanges():
                began = time.monotonic()
                for _ in range(20):
                    since = time.monotonic()
                    peer.send(message)
                    check(peer.recv(100).startswith(b"check"), "a real client is answered")
                    waits.append(time.monotonic() - since)
                return time.monotonic() - began

            # What they take of this machine as it is.
            before = exchanges()
            for number in range(600):
                # Neighbours of other rounds are known to be away.
                forge(f"10.66.{network + attempt}.{number % 200 + 2}", 4000, "10.66.0.1", server.port, message)
            waits.clear()
            took = exchanges()
        received, answered, unanswered = server.settled()
        print(f"600 datagrams of {len(message)} bytes from 200 neighbours that are not there: 20 exchanges over loopback took "
              f"{took:.3f} s ({before:.3f} s before), the longest {max(waits):.3f} s; in/out/unanswered {(received, answered, unanswered)}")
        check(received == 641, "every datagram is received")
        check(answered + unanswered == received, "what was dropped is counted")
        server.end()
        if took <= before + 0.2:
            return
    check(False, "20 exchanges take 0.2 s more at the most")


def no_room():
    """What finds no room in the kernel is dropped and counted, and receiving goes on all the same."""
    if not link_where_nobody_answers():
        return
    server = Server("0.0.0.0")
    server.serves()
    for number in range(20000):
        forge(f"10.66.9.{number % 200 + 2}", 4000, "10.66.0.1", server.port, b"hello")
        if number % 1000 == 999:
            server.receives(number)
    since = time.monotonic()
    received, answered, unanswered = server.settled()
    took = time.monotonic() - since
    print(f"20000 datagrams from 200 neighbours that are not there: received within {took:.3f} s; in/out/unanswered "
          f"{(received, answered, unanswered)}")
    check(took < 2 and received > 10000, "receiving goes on")
    check(unanswered > 0, "there is room for less than all")
    check(answered + unanswered == received, "what was dropped is counted")
    server.end()


for scene in sys.argv[2:]:
    globals()[scene]()
