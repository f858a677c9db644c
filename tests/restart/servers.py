"""Servers that are started, ended and killed; none outlives the measurement."""

import atexit
import pathlib
import signal
import socket
import subprocess

from load import HOST

ROOT = pathlib.Path(__file__).resolve().parents[2]

children = set()


def end_children():
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    children.clear()


atexit.register(end_children)


def run(command, **streams):
    """A program that is ended with the measurement."""
    child = subprocess.Popen(command, **streams)
    children.add(child)
    return child


def start(program, words, passed=(subprocess.DEVNULL, None)):
    """A server that says where it listens; the two sockets that are `passed` are not its own."""
    command = [program, "-q", *words]
    if passed[1]:
        script = 'exec 3<&0 4<&2 </dev/null 2>&1; LISTEN_FDS=2 LISTEN_PID=$$ exec "$0" "$@"'
        command = ["sh", "-c", script, *command]
    server = run(command, stdin=passed[0], stdout=subprocess.PIPE, stderr=passed[1], text=True)
    for _ in range(2):
        line = server.stdout.readline()
        assert "listening" in line, f"not a listening line: {line!r}"
    return server


def stop(server):
    """Ends it in its own time."""
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
    forget(server)


def kill(server):
    """Ends it at once."""
    server.kill()
    server.wait()
    forget(server)


def forget(server):
    server.stdout.close()
    children.discard(server)


def free_port(host=HOST):
    """A port that was free over TCP and UDP a moment ago."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind((host, 0))
        udp.bind(tcp.getsockname())
        return tcp.getsockname()[1]


def table(*columns):
    """Prints the head of a table, and gives what prints a row of it."""
    print("\n| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))

    def row(*cells):
        print("| " + " | ".join(f"{cell:,.0f}" if isinstance(cell, (int, float)) else cell for cell in cells) + " |", flush=True)

    return row
