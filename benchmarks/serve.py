"""The HTTP server: seconds to ready, latency and rate by clients, memory and its growth: `make bench-serve`.

A recording of 7 s, mono at 16 kHz, sent over loopback; the clients run on the same cores as the server. It prints
Markdown. `--requests 300` is a short run.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from served import MULTIPART, Served, form
from sounds import pcm, tones, wav
from spira.base.arithmetic import processor

CLIENTS = (1, 2, 8)
N_MEASURED = 200  # requests, of each number of clients
N_WARM = 100
RECORDING = wav(pcm(tones(16000, seconds=7)))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, default=Path("data/package"))
    parser.add_argument("--requests", type=int, default=10_000, help="over which memory may grow")
    asked = parser.parse_args(arguments)
    print(f"{processor()}\n")
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        with Served(asked.package, Path(folder), "--port", "0") as served:
            print(f"ready after {perf_counter() - start:.1f} s\n")
            measure(served)
            grow(served, asked.requests)


def measure(served: Served) -> None:
    send(served.port, N_WARM, 1)
    print("| clients | p50 ms | p95 ms | requests/s |\n|---|---|---|---|")
    for n_clients in CLIENTS:
        start = perf_counter()
        taken = send(served.port, N_MEASURED, n_clients)
        rate = len(taken) / (perf_counter() - start)
        p50, p95 = 1000 * np.percentile(taken, [50, 95])
        print(f"| {n_clients} | {p50:.0f} | {p95:.0f} | {rate:.0f} |")


def grow(served: Served, n_requests: int) -> None:
    before = resident(served.process.pid)
    send(served.port, n_requests, 2)
    after = resident(served.process.pid)
    children = [resident(pid) for pid in served.children()]
    print(
        f"\nresident: server {after:.0f} MB, decoders {' and '.join(f'{mb:.0f}' for mb in children)} MB, "
        f"much of it shared: {sum(map(proportional, [served.process.pid, *served.children()])):.0f} MB in all; "
        f"the server grew by {after - before:.1f} MB over {n_requests} requests"
    )


def send(port: int, n_requests: int, n_clients: int) -> list[float]:
    """Seconds of each request, from clients that each keep one connection."""
    share = -(-n_requests // n_clients)
    with ThreadPoolExecutor(n_clients) as clients:
        return [seconds for one in clients.map(client, [port] * n_clients, [share] * n_clients) for seconds in one]


def client(port: int, n_requests: int) -> list[float]:
    connection, body, found = HTTPConnection("127.0.0.1", port, timeout=120), form({"sentence": RECORDING}), []
    for _ in range(n_requests):
        start = perf_counter()
        connection.request("POST", "/v1/predict", body, MULTIPART)
        response = connection.getresponse()
        answer = response.read()
        found.append(perf_counter() - start)
        if response.status != 200 or b'"score":0.' not in answer:
            raise SystemExit(f"status {response.status}: {answer.decode()}")
    connection.close()
    return found


def resident(pid: int) -> float:
    """Megabytes."""
    return _kilobytes(pid, "Rss") / 1024


def proportional(pid: int) -> float:
    """Megabytes, of which those that n processes share count a share of 1/n."""
    return _kilobytes(pid, "Pss") / 1024


def _kilobytes(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    main(sys.argv[1:])
