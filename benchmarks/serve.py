"""Measure the server's throughput and latency over loopback, with the shipped weights.

    python benchmarks/serve.py [--size 256x256] [--clients 1 4] [--requests 40] [--json OUT.json] [-- OPTIONS]

OPTIONS are those of `uformer serve`. The server runs in its own process and is warmed up with one image,
which does not count. Each client sends its next image when it has received the last one. If the queue is
full, it counts the refusal and tries again. `overhead` is the time of a request that restores nothing
(strength 0): only decoding, encoding and HTTP.
"""

import argparse
import datetime
import http.client
import io
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from uformer import __version__
from uformer.image.image import Image
from uformer.image.write import encode


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="256x256", help="height x width, in pixels")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--requests", type=int, default=40, help="total for each number of clients")
    parser.add_argument("--json", type=Path)
    parser.add_argument("serve", nargs="*", help="options of uformer serve")
    args = parser.parse_args()

    height, width = map(int, args.size.split("x"))
    pixels = np.random.default_rng(0).random((height, width, 3), np.float32)
    picture = encode(Image(pixels=pixels, suffix=".jpg"), ".jpg")
    with start(args.serve) as server:
        port = port_of(server)
        try:
            wait_until_ready(port)
            send(port, picture)
            rows = [{"path": "overhead", **measure(port, picture, 1, args.requests, "?strength=0")}]
            rows += [
                {"path": "restore", **measure(port, picture, clients, args.requests, "")}
                for clients in args.clients
            ]
            resident = memory(port)
        finally:
            server.terminate()
    about = {
        "date": str(datetime.date.today()),
        "uformer": __version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "picture": f"{height} x {width}, JPEG of {len(picture)} bytes",
        "resident_mib": round(resident / 2**20),
    }
    report(about, rows)
    if args.json:
        args.json.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def start(options: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "uformer", "serve", "--port", "0", "--no-browser", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def port_of(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", server.stdout.readline())
    if found is None:
        raise SystemExit("the server did not start")
    return int(found[1])


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, str | None]:
    """Send a request and return (status, body, Retry-After)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    try:
        connection.request(method, path, body, {"Content-Type": "image/jpeg"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers["Retry-After"]
    finally:
        connection.close()


def wait_until_ready(port: int) -> None:
    until = time.monotonic() + 60
    while ask(port, "GET", "/readyz")[0] != 200:
        if time.monotonic() > until:
            raise SystemExit("the server did not become ready in a minute")
        time.sleep(0.1)


def memory(port: int) -> float:
    """Return the server's resident memory, in bytes."""
    text = ask(port, "GET", "/metrics")[1].decode()
    return float(
        next(
            line.split()[1] for line in io.StringIO(text) if line.startswith("process_resident_memory_bytes ")
        )
    )


def send(port: int, picture: bytes, query: str = "") -> tuple[float, int]:
    """Send an image and return (seconds until it was restored, times that the queue was full)."""
    start_, refused = time.perf_counter(), 0
    while True:
        status, body, retry = ask(port, "POST", f"/v1/restore{query}", picture)
        if status == 200:
            return time.perf_counter() - start_, refused
        if status != 429:
            raise SystemExit(f"{status}: {body.decode(errors='replace')}")
        refused += 1
        time.sleep(float(retry or 1))


def measure(port: int, picture: bytes, clients: int, requests: int, query: str) -> dict[str, Any]:
    """Send `requests` images, from `clients` clients at the same time, and return the figures."""
    left, lock = iter(range(requests)), threading.Lock()
    found: list[tuple[float, int]] = []

    def work() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            found.append(send(port, picture, query))

    threads = [threading.Thread(target=work) for _ in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = time.perf_counter() - begin
    seconds = sorted(each for each, _ in found)
    return {
        "clients": clients,
        "requests": len(found),
        "refused": sum(refused for _, refused in found),
        "requests_per_s": round(len(found) / whole, 3),
        "p50_ms": round(1000 * statistics.median(seconds), 1),
        "p99_ms": round(1000 * seconds[min(int(0.99 * len(seconds)), len(seconds) - 1)], 1),
    }


def report(about: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    print(", ".join(f"{name} {value}" for name, value in about.items()) + "\n")
    print(
        "| | clients | requests | refused | requests/s | p50, ms | p99, ms |\n|---|---|---|---|---|---|---|"
    )
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


if __name__ == "__main__":
    main()
