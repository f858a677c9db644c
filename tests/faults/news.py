"""Forged news of datagrams that did not arrive, in a network namespace of their own: news.py CLIENT SCENE...

A failed check ends it with 1.
"""

import fcntl
import json
import signal
import socket
import struct
import subprocess
import sys

CLIENT = sys.argv[1]
HERE = "127.0.0.1"
HOST_UNREACHABLE, PORT_UNREACHABLE = 1, 3


def bring_up_loopback():
    with socket.socket() as any_socket:
        request = struct.pack("16sh", b"lo", 0x1 | 0x40)
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS: up, running


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def forge(client, server, payload):
    """Says that this datagram from the client to the server did not arrive, with every code that says so."""
    for code in (HOST_UNREACHABLE, PORT_UNREACHABLE):
        forge_one(client, server, payload, code)


def forge_one(client, server, payload, code):
    quoted = struct.pack("!HHHH", client[1], server[1], 8 + len(payload), 0) + payload
    addresses = socket.inet_aton(client[0]) + socket.inet_aton(server[0])
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(quoted), 1, 0x4000, 64, 17, 0) + addresses
    quoted = header[:10] + struct.pack("!H", checksum(header)) + header[12:] + quoted
    message = struct.pack("!BBHI", 3, code, 0, 0) + quoted
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(message, (client[0], 0))


def far_end():
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.bind((HERE, 0))
    far.settimeout(20)
    return far, far.getsockname()


def stamp(probe):
    seq = probe[16:24]
    return b"check\0\0\1" + probe[8:32] + seq + struct.pack("!QQ", 1000, 4000) + seq + struct.pack("!Q", 1)


def start(server, *words):
    command = [CLIENT, server[0], str(server[1]), "-u", *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def endless_ping(far, server):
    """A run, and its probes as they come; what it comes to once they are let go of."""
    client = start(server, "--ping", "-i", "0.05", "-W", "60", "--format", "json")

    def probes(count):
        for number in range(1, count + 1):
            yield (number, *far.recvfrom(100))
        # A probe that leaves in a later turn: what was said before has been heard.
        far.recvfrom(100), far.recvfrom(100)

    def ended():
        client.send_signal(signal.SIGINT)
        return [json.loads(line) for line in client.communicate()[0].splitlines()]

    return probes, ended


def ping():
    far, server = far_end()
    probes, ended = endless_ping(far, server)
    for _, probe, source in probes(8):
        # One that was never sent from there: of another session, of a number to come.
        forge(source, server, b"ACKSTAMP" + bytes(8) + probe[16:])
        forge(source, server, probe[:16] + struct.pack("!Q", 1 << 40) + probe[24:])
        far.sendto(stamp(probe), source)
        # One that is answered.
        forge(source, server, probe)
    events = ended()
    summary = events[-1]
    assert (summary["acknowledged"], summary["lost"], summary["late"]) == (8, 0, 0), events


def one_is_true():
    """What is said of a probe that is out is believed, and of that one alone."""
    far, server = far_end()
    probes, ended = endless_ping(far, server)
    for number, probe, source in probes(6):
        if number == 3:
            held = probe, source
        elif number == 4:
            forge_one(source, server, probe, HOST_UNREACHABLE)
        else:
            far.sendto(stamp(probe), source)
        if number == 5:
            far.sendto(stamp(held[0]), held[1])
    events = ended()
    lost = [(event["seq"], event["reason"]) for event in events if event["event"] == "lost"]
    assert lost == [(4, "No route to host")], events
    assert 3 in [event["seq"] for event in events if event["event"] == "reply"], events


def chat():
    far, server = far_end()
    client = start(server, "-W", "15")
    for message in ("one", "two"):
        client.stdin.write(message + "\n")
        client.stdin.flush()
        heard, source = far.recvfrom(100)
        assert heard == message.encode(), heard
        far.sendto(b"check", source)
        # It has its answer: nothing is lost.
        forge(source, server, heard)
        assert "answered: check" in client.stdout.readline()
    said = client.communicate()[0]
    assert (client.returncode, said) == (0, ""), (client.returncode, said)


def verdict():
    """An answer that waits is the better word."""
    far, server = far_end()
    client = start(server, "-z", "-W", "15")
    heard, source = far.recvfrom(100)
    client.send_signal(signal.SIGSTOP)
    far.sendto(b"check", source)
    forge(source, server, heard)
    client.send_signal(signal.SIGCONT)
    said = client.communicate()[0]
    assert client.returncode == 0 and " open " in said, said


def find_idle():
    far, server = far_end()
    client = start(server, "--find-idle", "1", "-W", "15")
    heard = {}
    while client.poll() is None:
        far.settimeout(0.05)
        try:
            word, source = far.recvfrom(100)
        except TimeoutError:
            continue
        far.sendto(b"check", source)
        heard[source] = heard.get(source, 0) + 1
        forge(source, server, word)
    said = client.communicate()[0]
    assert client.returncode == 0 and "no idle timeout up to 1 s" in said, said


bring_up_loopback()
for scene in sys.argv[2:]:
    globals()[scene]()
