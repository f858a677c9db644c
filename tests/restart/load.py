"""Clients over loopback that say one thing at a time, and count what became of it."""

import multiprocessing
import signal
import socket
import threading
import time

HOST = "127.0.0.1"
NOTICE = b"server is shutting down"
COUNTS = ["connects", "acks", "refused", "notices", "cut", "checks", "udp_refused", "lost", "goodbyes"]
PATIENCE = 1  # so many seconds without an answer make a loss
PAUSE = 0.5  # seconds of load before the first event
THREADS = 8  # clients in a process


def talk(port, keeps, over, counts):
    """Over TCP; who does not keep its connection makes one for each message."""
    while not over.is_set():
        stream = socket.socket()
        stream.settimeout(PATIENCE)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            stream.connect((HOST, port))
        except OSError:
            counts["refused"] += 1
            stream.close()
            continue
        counts["connects"] += 1
        while not over.is_set():
            try:
                stream.send(b"hello")
                answer = stream.recv(64)
            except OSError:
                answer = b""
            if answer.startswith(b"ACK"):
                counts["acks"] += 1
            elif answer.startswith(NOTICE):
                counts["notices"] += 1
            else:
                counts["cut"] += 1
            if answer != b"ACK" or not keeps:
                break
        stream.close()


def probe(port, keeps, over, counts):
    """Over UDP; who does not keep its port has a new one for each datagram."""
    while not over.is_set():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.connect((HOST, port))
            peer.settimeout(PATIENCE)
            while not over.is_set():
                try:
                    peer.send(b"hello")
                    while (answer := peer.recv(64)) == NOTICE:
                        counts["goodbyes"] += 1
                    # An empty one is nginx's word that a server failed.
                    counts["checks" if answer == b"check" else "lost"] += 1
                except ConnectionRefusedError:
                    counts["udp_refused"] += 1
                except TimeoutError:
                    counts["lost"] += 1
                if not keeps:
                    break


KINDS = {"keeps": (talk, True), "comes": (talk, False), "udp": (probe, True), "udp from new ports": (probe, False)}


def clients(port, kinds, over, results):
    """One process of clients; each has its counts, which are added up at the end."""
    all_counts = [dict.fromkeys(COUNTS, 0) for _ in kinds]
    works = [KINDS[kind] for kind in kinds]
    # Whoever interrupts the measurement ends them by its end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threads = [
        threading.Thread(target=work, args=(port, keeps, over, counts), daemon=True)
        for (work, keeps), counts in zip(works, all_counts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put({name: sum(counts[name] for counts in all_counts) for name in COUNTS})


def under_load(port, number, kinds, events):
    """Runs `events` under so many clients, of these kinds in turn; what they counted, and for how long."""
    kinds = (kinds * number)[:number]
    over, results = multiprocessing.Event(), multiprocessing.Queue()
    shares = [kinds[at : at + THREADS] for at in range(0, number, THREADS)]
    processes = [multiprocessing.Process(target=clients, args=(port, share, over, results), daemon=True) for share in shares]
    for process in processes:
        process.start()
    began = time.monotonic()
    try:
        time.sleep(PAUSE)
        events()
    except BaseException:
        # Their counts are nobody's.
        for process in processes:
            process.kill()
        raise
    took = time.monotonic() - began
    over.set()
    counted = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return {name: sum(counts[name] for counts in counted) for name in COUNTS}, took
