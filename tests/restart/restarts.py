"""One server is ended and another started in its place, in three ways."""

import socket
import time

from load import HOST, PAUSE, under_load
from servers import free_port, start, stop, table

# A quarter keeps its connection until it is told to go, a quarter connects for each message, half speaks UDP.
MIXED = ["keeps", "comes", "udp", "udp"]


def stop_and_start(program, drain, number, clients):
    port = free_port()
    words = ["-p", str(port), *drain]
    current = [start(program, words)]

    def restarts():
        for _ in range(number):
            stop(current.pop())
            current.append(start(program, words))
            time.sleep(PAUSE)

    figures = under_load(port, clients, MIXED, restarts)
    stop(current.pop())
    return figures


def new_one_first(program, drain, number, clients):
    port = free_port()
    words = ["-p", str(port), "--reuse-port", *drain]
    current = [start(program, words)]

    def restarts():
        for _ in range(number):
            current.append(start(program, words))
            stop(current.pop(0))
            time.sleep(PAUSE)

    figures = under_load(port, clients, MIXED, restarts)
    stop(current.pop())
    return figures


def passed_sockets(program, drain, number, clients):
    tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp.bind((HOST, 0))
    tcp.listen(4096)
    udp.bind(tcp.getsockname())
    current = [start(program, drain, (tcp, udp))]

    def restarts():
        for _ in range(number):
            stop(current.pop())
            current.append(start(program, drain, (tcp, udp)))
            time.sleep(PAUSE)

    figures = under_load(tcp.getsockname()[1], clients, MIXED, restarts)
    stop(current.pop())
    tcp.close()
    udp.close()
    return figures


WAYS = [
    ("stop and start", stop_and_start, []),
    ("`--reuse-port`, the new one first", new_one_first, []),
    ("the same with `--drain 1`", new_one_first, ["--drain", "1"]),
    ("passed sockets", passed_sockets, []),
    ("passed sockets with `--drain 10`", passed_sockets, ["--drain", "10"]),
]


def measure(options):
    """Prints what each way loses."""
    row = table(f"{options.restarts} restarts under {options.clients} clients", "connects/s", "ACKs/s", "datagrams/s",
                "refused", "notices instead of an ACK", "cut without a word", "datagrams refused", "datagrams lost",
                "goodbyes")
    for name, way, drain in WAYS:
        counted, took = way(options.program, drain, options.restarts, options.clients)
        rates = [counted[what] / took for what in ("connects", "acks", "checks")]
        row(name, *rates, *(counted[what] for what in ("refused", "notices", "cut", "udp_refused", "lost", "goodbyes")))
