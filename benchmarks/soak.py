"""Watch the server's memory over many requests: restored, refused, cancelled, disconnected, forms, jobs.

    python benchmarks/soak.py [--requests 10000] [--first 200] [--clients 4] [--limit 10] [-- OPTIONS]

OPTIONS are those of `uformer serve`, which runs in its own process. Its resident memory is read while it is
idle: after the first requests, and ten times until the last. The script exits with code 1 if the memory grows
by more than `--limit` percent, from the highest of the first three readings to the lowest of the last three:
a single reading depends on which requests came just before it.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from uformer.image.image import Image
from uformer.image.write import encode

SIZES = [(64, 64), (48, 100), (100, 48), (120, 120), (24, 24)]
"""(height, width) of the images that are restored. Some sizes need their own compiled network."""
LARGE = (1000, 1000)
"""(height, width) of the images whose requests are cancelled."""
FORM = "multipart/form-data; boundary=cut"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000, help="total number of requests")
    parser.add_argument("--first", type=int, default=200, help="requests before memory is compared")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--limit", type=float, default=10, help="allowed growth in percent")
    parser.add_argument("serve", nargs="*", help="options of uformer serve")
    args = parser.parse_args(arguments)
    command = [sys.executable, "-m", "uformer", "serve", "--port", "0", "--no-browser", *args.serve]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", server.stdout.readline())
            if found is None:
                raise SystemExit("the server did not start")
            client = Client(int(found[1]))
            client.wait_until(lambda: client.ask("GET", "/readyz")[0] == 200)
            return soak(client, args.requests, args.first, args.clients, args.limit)
        finally:
            server.terminate()


def soak(client: "Client", requests: int, first: int, clients: int, limit: float) -> int:
    """Send the requests and print the server's memory. Returns the exit status."""
    print("| requests | seconds | resident MB |\n|---|---|---|")
    kinds = [*KINDS] * (requests // len(KINDS) + 1)
    random.Random(0).shuffle(kinds)  # noqa: S311 - no secret
    marks = [0, *np.linspace(first, requests, 11, dtype=int).tolist()]
    began, memory = time.monotonic(), [client.memory()]
    print(f"| 0 | 0 | {memory[0]:.0f} |", flush=True)
    with ThreadPoolExecutor(clients) as threads:
        for start, end in itertools.pairwise(marks):
            for _ in threads.map(lambda kind: client.try_one(KINDS[kind]), kinds[start:end]):
                pass
            client.wait_until(lambda: client.gauge("uformer_running") + client.gauge("uformer_waiting") == 0)
            memory.append(client.memory())
            print(f"| {end} | {time.monotonic() - began:.0f} | {memory[-1]:.0f} |", flush=True)
    grown = growth(memory[1:])
    statuses = ", ".join(f"{status} {count}" for status, count in sorted(client.statuses.items(), key=str))
    print(f"\nstatuses: {statuses}\nfrom request {first} to {requests}: {grown:+.1f}% (limit {limit:g}%)")
    return int(grown > limit or any(str(status).startswith("500") for status in client.statuses))


def growth(memory: Sequence[float]) -> float:
    """Return the percentage by which the last three readings all exceed the first three."""
    return 100 * (min(memory[-3:]) / max(memory[:3]) - 1)


class Client:
    """Sends requests to a server on this machine and counts the responses by status."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: Counter[int | str] = Counter()
        self.small = [image(*size) for size in SIZES]
        self.large = image(*LARGE)

    def try_one(self, kind: Callable[["Client"], int | str]) -> None:
        try:
            self.statuses[kind(self)] += 1
        except (ConnectionError, http.client.HTTPException):
            self.statuses["closed"] += 1

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "image/png"
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": kind} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def leave(self, body: bytes, length: int, seconds: float) -> str:
        """Send an image or a part of it, and close the connection `seconds` later, unanswered."""
        head = "POST /v1/restore?tile=128 HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Type: image/png\r\nContent-Length: {length}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=300) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(seconds)
        return "left"

    def begin(self, body: bytes, query: str = "tile=128") -> tuple[int, str]:
        """Start a job and return its (status, path)."""
        status, answer = self.ask("POST", f"/v1/jobs?{query}", body)
        return status, f"/v1/jobs/{json.loads(answer).get('id')}"

    def gauge(self, name: str) -> float:
        found = re.search(rf"^{name} (\S+)$", self.ask("GET", "/metrics")[1].decode(), re.MULTILINE)
        assert found is not None
        return float(found[1])

    def memory(self) -> float:
        """Return the resident memory of the server, in MB."""
        return self.gauge("process_resident_memory_bytes") / 1e6

    def wait_until(self, holds: Callable[[], bool], seconds: float = 300) -> None:
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until:
                raise SystemExit(f"the server is still busy after {seconds:g} seconds")
            time.sleep(0.1)


def restored(client: Client) -> int:
    return client.ask("POST", "/v1/restore", random.choice(client.small))[0]  # noqa: S311


def restored_form(client: Client) -> int:
    return client.ask("POST", "/v1/restore", form(random.choice(client.small)), FORM)[0]  # noqa: S311


def refused_form(client: Client) -> int:
    return client.ask("POST", "/v1/restore", form(bytes(2**21)), FORM)[0]


def refused_option(client: Client) -> int:
    return client.ask("POST", "/v1/restore?strength=2", client.large)[0]


def refused_image(client: Client) -> int:
    return client.ask("POST", "/v1/restore", client.large[: len(client.large) // 2])[0]


def disconnected(client: Client) -> str:
    return client.leave(client.large, len(client.large), random.random() / 8)  # noqa: S311


def cut(client: Client) -> str:
    return client.leave(client.large[:-1000], len(client.large), 0)


def job(client: Client) -> int:
    status, path = client.begin(client.small[0])
    if status == 202:
        client.wait_until(lambda: json.loads(client.ask("GET", path)[1])["state"] == "done")
        status = client.ask("GET", f"{path}/result")[0]
        client.ask("DELETE", path)
    return status


def held_job(client: Client) -> int:
    status, path = client.begin(client.small[0], "hold=true")
    if status == 202:
        client.wait_until(lambda: json.loads(client.ask("GET", path)[1])["state"] == "done")
        status = client.ask("GET", f"{path}/result?luma=0.5")[0]
        client.ask("DELETE", path)
    return status


def deleted_job(client: Client) -> int:
    status, path = client.begin(client.large)
    if status == 202:
        time.sleep(random.random() / 8)  # noqa: S311
        status = client.ask("DELETE", path)[0]
    return status


KINDS: dict[str, Callable[[Client], int | str]] = {
    each.__name__: each
    for each in (
        restored,
        restored_form,
        refused_form,
        refused_option,
        refused_image,
        disconnected,
        cut,
        job,
        held_job,
        deleted_job,
    )
}


def form(data: bytes) -> bytes:
    head = b'--cut\r\nContent-Disposition: form-data; name="picture"; filename="photo.png"\r\n\r\n'
    return head + data + b"\r\n--cut--\r\n"


def image(height: int, width: int) -> bytes:
    """Return a PNG of noise. A large one repeats the noise, which keeps the file small."""
    noise = np.random.default_rng(0).random((min(height, 128), min(width, 128), 3), np.float32)
    pixels = np.tile(noise, (-(-height // 128), -(-width // 128), 1))[:height, :width]
    return encode(Image(pixels=pixels, suffix=".png"), ".png")


if __name__ == "__main__":
    sys.exit(main())
