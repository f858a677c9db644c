"""Three servers behind HAProxy and nginx, configured as `src/package` has them: one after the other is killed or ended."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from load import HOST, under_load
from servers import ROOT, free_port, kill, run, start, stop, table

NAMES = "abc"
SETTLED = 3  # seconds in which a balancer notices that a server has gone, or is back


class Farm:
    """The servers, and where they are."""

    def __init__(self, program, words):
        self.program = program
        self.hosts = [f"127.0.0.{11 + number}" for number in range(len(NAMES))]
        self.port = free_port()
        self.words = ["-p", str(self.port), "--proxy-protocol", HOST, *words]
        self.servers = [None] * len(NAMES)
        for at in range(len(NAMES)):
            self.start(at)

    def start(self, at):
        self.servers[at] = start(self.program, ["--host", self.hosts[at], *self.words])

    def configured(self, name, front):
        """A file of the package with these servers in place of its own."""
        text = (ROOT / "src/package" / name).read_text().replace("bind :6666", f"bind {HOST}:{front}")
        text = text.replace("listen 6666", f"listen {HOST}:{front}")
        if os.geteuid() != 0:
            text = text.replace("    user haproxy\n    group haproxy\n", "")
        for at, host in enumerate(self.hosts):
            text = text.replace(f"10.0.0.{11 + at}:6666", f"{host}:{self.port}")
        return text

    def end(self):
        for server in self.servers:
            stop(server)


def haproxy(farm, folder, front):
    admin, config = folder / "admin.sock", folder / "haproxy.cfg"
    config.write_text(farm.configured("haproxy.cfg", front).replace("/run/haproxy/admin.sock", str(admin)))
    return run(["haproxy", "-q", "-db", "-f", config], stderr=subprocess.DEVNULL), admin


def say(admin, words):
    """One command for HAProxy's operator socket."""
    with socket.socket(socket.AF_UNIX) as operator:
        operator.connect(str(admin))
        operator.send(words.encode() + b"\n")
        operator.recv(1000)


def killed(farm, at, _):
    kill(farm.servers[at])


def ended(farm, at, _):
    stop(farm.servers[at])


def set_aside_first(farm, at, admin):
    say(admin, f"set server reactors/{NAMES[at]} state drain")
    time.sleep(SETTLED)
    stop(farm.servers[at])


EVENTS = [
    ("killed", killed, [], ["keeps", "comes"]),
    ("ended", ended, [], ["keeps", "comes"]),
    ("`state drain` first, then ended; clients that come for each message", set_aside_first, [], ["comes"]),
    ("`state drain` first, then ended with `--drain 2`", set_aside_first, ["--drain", "2"], ["keeps", "comes"]),
    ("ended with `--drain 2` alone", ended, ["--drain", "2"], ["keeps", "comes"]),
]


def behind_haproxy(options, folder):
    row = table("behind HAProxy, each of three servers in turn", "ACKs", "refused", "notices instead of an ACK",
                "cut without a word")
    for name, event, words, kinds in EVENTS:
        farm, front = Farm(options.program, words), free_port()
        balancer, admin = haproxy(farm, folder, front)
        time.sleep(SETTLED)

        def events():
            for at in range(len(NAMES)):
                event(farm, at, admin)
                time.sleep(SETTLED)
                farm.start(at)
                say(admin, f"set server reactors/{NAMES[at]} state ready")
                time.sleep(SETTLED)

        counted, _ = under_load(front, options.clients, kinds, events)
        row(name, *(counted[what] for what in ("acks", "refused", "notices", "cut")))
        balancer.terminate()
        balancer.wait()
        farm.end()


def behind_nginx(options, folder):
    row = table("datagrams behind nginx, each from a port of its own", "answered", "not answered")
    bounded = ["        proxy_responses 1;\n", "        proxy_requests 1;\n"]
    for name, lines in (("as configured", []), ("without `proxy_responses` and `proxy_requests`", bounded)):
        farm, front = Farm(options.program, []), free_port()
        text = farm.configured("nginx.conf", front)
        for line in lines:
            assert line in text
            text = text.replace(line, "")
        config = folder / "nginx.conf"
        config.write_text(text)
        words = f"daemon off; pid {folder}/nginx.pid;"
        balancer = run(["nginx", "-e", "/dev/null", "-c", config, "-g", words], stderr=subprocess.DEVNULL)
        time.sleep(SETTLED)
        counted, _ = under_load(front, options.clients, ["udp from new ports"], lambda: time.sleep(5))
        row(name, counted["checks"], counted["lost"] + counted["udp_refused"])
        balancer.terminate()
        balancer.wait()
        farm.end()


def measure(options):
    """Prints what is lost behind each of them, where it is installed."""
    with tempfile.TemporaryDirectory() as folder:
        for program, way in (("haproxy", behind_haproxy), ("nginx", behind_nginx)):
            if shutil.which(program):
                way(options, pathlib.Path(folder))
            else:
                print(f"\nskipped: {program} is not installed")
