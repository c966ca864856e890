"""The end of a server: nobody is let in, everybody is told when to come back, and the process is gone in time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from signal import Signals
from socket import socket
from time import monotonic
from types import FrameType
from typing import Any, Protocol

import uvicorn.server
from uvicorn.config import Config

from kernel.logs import get_logger
from kernel.tasks import spawn
from subscriptions.messages import GOING_AWAY

log = get_logger(__name__)

# How long plain requests may still take after the drain, in whole seconds as uvicorn wants it.
REQUESTS_PATIENCE_S = 2
# From the signal on: when what does not close is left behind, and when the process ends even where its loop hangs.
CLOSED_WITHIN_S = 8.5
EXIT_WITHIN_S = 9.5
FORCED_EXIT_CODE = 70
POLL_INTERVAL_S = 0.02
PEERS_PER_TURN = 200
RESTARTING = "Server restarting"


class Peer(Protocol):
    """A connection that stays open until somebody ends it."""

    @property
    def idle(self) -> bool: ...

    def retire(self) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Busy(Protocol):
    @property
    def idle(self) -> bool: ...


class Drain:
    """The connections that are open, and how they end."""

    def __init__(self, works: Busy) -> None:
        self._works = works
        self._peers: set[Peer] = set()
        self.begun = False

    @contextmanager
    def attending(self, peer: Peer) -> Iterator[None]:
        """Know the connection as long as it is open."""
        self.attend(peer)
        try:
            yield
        finally:
            self.forget(peer)

    def attend(self, peer: Peer) -> None:
        """Know the connection until it is to be forgotten."""
        self._peers.add(peer)

    def forget(self, peer: Peer) -> None:
        self._peers.discard(peer)

    async def run(self, *, patience_s: float) -> None:
        """Tell everybody, wait for what is pending and for mutations under way, then end every connection."""
        self.begun = True
        deadline = asyncio.get_running_loop().time() + patience_s
        peers = list(self._peers)
        log.info("drain.begun", connections=len(peers))
        for start in range(0, len(peers), PEERS_PER_TURN):
            for peer in peers[start : start + PEERS_PER_TURN]:
                peer.retire()
            await asyncio.sleep(0)
        waiting = peers
        while waiting or not self._works.idle:
            waiting = [peer for peer in waiting if not peer.idle]
            if asyncio.get_running_loop().time() >= deadline:
                log.warning("drain.impatient", connections=len(waiting))
                break
            await asyncio.sleep(POLL_INTERVAL_S)
        for start in range(0, len(peers), PEERS_PER_TURN):
            for peer in peers[start : start + PEERS_PER_TURN]:
                peer.close(GOING_AWAY, RESTARTING)
            await asyncio.sleep(0)
        log.info("drain.ended")


class Server(uvicorn.server.Server):
    """uvicorn, which drains before it shuts down, and whose process ends in time whatever hangs."""

    def __init__(self, config: Config, *, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain
        self._stopping_since_s: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._stopping_since_s is None:
            self._stopping_since_s = monotonic()
            log.info("server.stopping", signal=Signals(sig).name)
            last_resort = threading.Timer(EXIT_WITHIN_S, _force_exit)
            last_resort.daemon = True
            last_resort.start()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        try:
            await self._drain()
        except Exception:
            log.exception("drain.failed")
        self._abort_stalled()
        closing = spawn(super().shutdown(sockets), name="server:shutdown")
        left_s = CLOSED_WITHIN_S - (monotonic() - (self._stopping_since_s or monotonic()))
        await asyncio.wait([closing], timeout=max(0.0, left_s))
        if closing.done():
            closing.result()
        else:
            # What is not closed, such as a connection to a database that does not answer, ends with the process.
            log.warning("server.left_unclosed", after_s=CLOSED_WITHIN_S)

    def _abort_stalled(self) -> None:
        """Drop who did not read what was sent in time: closing would wait for them."""
        for connection in list(self.server_state.connections):
            transport: Any = connection.transport
            if transport is not None and transport.get_write_buffer_size():
                transport.abort()


def _force_exit() -> None:
    log.error("server.exit_forced", after_s=EXIT_WITHIN_S)
    os._exit(FORCED_EXIT_CODE)
