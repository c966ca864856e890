"""A Redis 7 of our own, alone or as a cluster of three processes. REDIS_SERVER names its binary."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from tests.services import LOOPBACK, find_free_port

NODES = 3
SLOTS = 16_384
READY_WITHIN_S = 30.0
PASSWORD = "cluster"


def binary() -> str:
    """Return the path of a Redis 7, or skip: the one that comes with the tests is older."""
    found = os.environ.get("REDIS_SERVER", "")
    if not found:
        pytest.skip("NOT TESTED: sharded publish/subscribe needs Redis 7; set REDIS_SERVER to its redis-server")
    return found


class Node:
    """One process. `kill` is a power cut; `start` brings it back at the same address with what it knew."""

    def __init__(self, folder: Path, *, clustered: bool) -> None:
        self.port, self._bus_port, self._clustered = find_free_port(), find_free_port(), clustered
        self._folder = folder / str(self.port)
        self._folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        options = {"port": self.port, "bind": LOOPBACK, "requirepass": PASSWORD, "save": "", "appendonly": "no"}
        options |= {"masterauth": PASSWORD, "dir": self._folder, "daemonize": "no"}
        if self._clustered:
            options |= {"cluster-enabled": "yes", "cluster-port": self._bus_port, "cluster-node-timeout": 2_000}
            options |= {"cluster-require-full-coverage": "no"}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen([binary(), *words], stdout=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: self.run("PING") == b"PONG")

    def run(self, *words: Any) -> Any:
        """Run one command; None where the node does not answer."""
        try:
            with redis.Redis.from_url(self.url, retry=None, socket_timeout=1.0) as client:
                client.response_callbacks.clear()
                return client.execute_command(*words)
        except redis.ConnectionError:
            return None

    def meet(self, other: Node) -> None:
        self.run("CLUSTER MEET", LOOPBACK, other.port, other._bus_port)

    @property
    def id(self) -> str:
        return str(self.run("CLUSTER MYID").decode())

    def kill(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def single_node() -> Iterator[Node]:
    folder = Path(tempfile.mkdtemp(prefix="youka-redis-"))
    node = Node(folder, clustered=False)
    try:
        yield node
    finally:
        node.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def three_nodes() -> Iterator[list[Node]]:
    """A cluster in which each node owns a third of the slots, in their order."""
    folder = Path(tempfile.mkdtemp(prefix="youka-cluster-"))
    nodes: list[Node] = []
    try:
        for _ in range(NODES):
            nodes.append(Node(folder, clustered=True))
        for number, node in enumerate(nodes):
            first, last = SLOTS * number // NODES, SLOTS * (number + 1) // NODES - 1
            node.run("CLUSTER ADDSLOTSRANGE", first, last)
            nodes[0].meet(node)
        wait_until(lambda: all(_is_whole(node) for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def owner(nodes: list[Node], channel: str) -> Node:
    """Return the node that owned the channel's slot in the beginning."""
    return nodes[key_slot(channel.encode()) * NODES // SLOTS]


def move_slot(nodes: list[Node], channel: str, target: Node) -> None:
    """Give the channel's slot, which holds no keys, to another node."""
    slot, target_id = key_slot(channel.encode()), target.id
    for node in (target, *(node for node in nodes if node is not target)):
        assert node.run("CLUSTER SETSLOT", slot, "NODE", target_id) == b"OK"


def _is_whole(node: Node) -> bool:
    info = node.run("CLUSTER INFO") or b""
    return b"cluster_state:ok" in info and f"cluster_slots_ok:{SLOTS}".encode() in info


def wait_until(ready: Any) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not ready():
        assert time.monotonic() < deadline, "the Redis of the test did not become ready"
        time.sleep(0.02)
