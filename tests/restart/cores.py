"""N servers on one port, each with a part of a core: what one thread and one loop do on many cores."""

import json
import os
import pathlib
import subprocess

from load import HOST
from servers import end_children, free_port, run, start, table

SHARE = 15  # percent of a core for each server
PERIOD = 10_000  # microseconds
SECONDS = 5
# Programs that ask, and how many connections each has.
ASKERS, FLOWS = 2, 64


class Group:
    """A control group with so much of a core, of either version of them."""

    def __init__(self, name):
        first = pathlib.Path("/sys/fs/cgroup/cpu")
        self.folder = (first if first.is_dir() else pathlib.Path("/sys/fs/cgroup")) / f"ack-reactor-{os.getpid()}-{name}"
        self.folder.mkdir()
        quota = PERIOD * SHARE // 100
        try:
            if first.is_dir():
                (self.folder / "cpu.cfs_period_us").write_text(str(PERIOD))
                (self.folder / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (self.folder / "cpu.max").write_text(f"{quota} {PERIOD}")
        except OSError:
            self.folder.rmdir()
            raise

    def take(self, process):
        (self.folder / "cgroup.procs").write_text(str(process.pid))

    def remove(self):
        self.folder.rmdir()


def rate(options, number):
    """ACKs a second of so many servers together."""
    groups = []
    try:
        groups.extend(Group(at) for at in range(number))
        return rate_in(groups, options)
    finally:
        end_children()
        for group in groups:
            group.remove()


def rate_in(groups, options):
    port = free_port()
    servers = [start(options.program, ["-p", str(port), "--reuse-port"]) for _ in groups]
    for group, server in zip(groups, servers):
        group.take(server)
    words = f"--ping -t {HOST} {port} -i 0 -w {SECONDS} --flows {FLOWS} -q --format json --max-loss 100".split()
    client = pathlib.Path(options.program).with_name("reactor-client")
    askers = [run([client, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(ASKERS)]
    summaries = [json.loads(asker.communicate()[0].splitlines()[-1]) for asker in askers]
    return sum(summary["acknowledged"] / summary["seconds"] for summary in summaries)


def measure(options):
    """Prints how the rate grows, where control groups can be made."""
    try:
        Group("trial").remove()
    except OSError as error:
        print(f"\nskipped: no part of a core can be given: {error}")
        return
    row = table(f"servers with {SHARE} % of a core each", "ACKs/s", "for each")
    for number in (1, 2, 4):
        acks = rate(options, number)
        row(str(number), acks, acks / number)
