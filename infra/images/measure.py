#!/usr/bin/env python3
"""Measures the image's executable: size, start to first answer, resident memory.

    python3 infra/images/measure.py target/x86_64-unknown-linux-gnu/release/hub

Starts one function thirty times with the configuration of Google Cloud (nothing is connected before it is needed) and
prints medians. Linux only: memory is read from /proc.
"""

import os
import socket
import statistics
import subprocess
import sys
import time

RUNS = 30
FUNCTION = "get-job"


def environment(port):
    return {
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "DOCS_URL": "firestore://project/(default)",
        "BLOBS_URL": "gs://prefix-",
        "BUS_URL": "pubsub://project",
        "EXECUTIONS_URL": "run://project/us-central1",
        "TOKEN_ISSUER": "https://securetoken.google.com/project",
        "TOKEN_AUDIENCE": "project",
        "TOKEN_KEYS": '{"keys":[]}',
        "RUST_LOG": "off",
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(port):
    """The first line of the answer to a health check, or None while nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(4096).split(b"\r\n")[0]
    except ConnectionRefusedError:
        return None


def resident_mib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def one(hub):
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen([hub, FUNCTION], env=environment(port))
    try:
        while (line := answer(port)) is None:
            time.sleep(0.0002)
        took = (time.perf_counter() - began) * 1000
        assert line == b"HTTP/1.1 200 OK", line
        return took, resident_mib(process)
    finally:
        process.kill()
        process.wait()


def main():
    hub = sys.argv[1]
    runs = [one(hub) for _ in range(RUNS)]
    print(f"size               {os.path.getsize(hub) / 1e6:.1f} MB")
    print(f"start to answer    {statistics.median(run[0] for run in runs):.1f} ms, slowest {max(run[0] for run in runs):.1f} ms")
    print(f"resident memory    {statistics.median(run[1] for run in runs):.1f} MiB")


if __name__ == "__main__":
    main()
