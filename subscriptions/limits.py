"""How many connections there may be, of one user, from one address and in this process, and how fast they may speak."""

from __future__ import annotations

import ipaddress
from collections import Counter
from functools import lru_cache
from time import monotonic
from typing import TypeVar
from uuid import UUID

from starlette.requests import HTTPConnection

from kernel.errors import YoukaError
from kernel.settings import Settings
from subscriptions.heads import Head

# A household or an office has one network of this size, whichever addresses it takes from it (RFC 6177).
IPV6_NETWORK_BITS = 64
# Texts that were read as addresses and need not be again.
ADDRESSES_KEPT_MAX = 4_096

K = TypeVar("K", str, UUID)


class ConnectionLimitReached(YoukaError):
    """There are as many connections as there may be; `scope` is USER, ADDRESS or SERVER."""

    code = "CONNECTION_LIMIT_REACHED"
    messages = {
        "zh-CN": "连接数已达上限（{maximum}），请稍后再试",
        "en": "There are {maximum} connections already, which is the limit; please try again later",
    }


class ServerRestarting(YoukaError):
    code = "SERVER_RESTARTING"
    messages = {"zh-CN": "服务正在重启，请重新连接", "en": "The server restarts, please connect again"}


class TooManyMessages(YoukaError):
    code = "TOO_MANY_MESSAGES"
    messages = {"zh-CN": "消息过于频繁", "en": "Too many messages"}


class Place:
    """What one connection takes of the limits; it is given back once, by `leave`."""

    __slots__ = ("_limits", "address", "user_id")

    def __init__(self, limits: ConnectionLimits, address: str) -> None:
        self._limits: ConnectionLimits | None = limits
        self.address = address
        self.user_id: UUID | None = None

    def name(self, user_id: UUID) -> None:
        """Say whose connection it is. Raises ConnectionLimitReached, and then it is nobody's."""
        assert self.user_id is None, "a connection is one user's"
        assert self._limits is not None
        self._limits.take_user(user_id)
        self.user_id = user_id

    def leave(self) -> None:
        limits, self._limits = self._limits, None
        if limits is not None:
            limits.give_back(self)


class ConnectionLimits:
    """The connections of this process: WebSockets and event streams together."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.connections = 0
        self._by_address: Counter[str] = Counter()
        self._by_user: Counter[UUID] = Counter()

    def enter(self, address: str) -> Place:
        """Raises ConnectionLimitReached."""
        if self.connections >= self._settings.connections_max:
            raise ConnectionLimitReached(scope="SERVER", maximum=self._settings.connections_max)
        if self._by_address[address] >= self._settings.connections_per_address_max:
            raise ConnectionLimitReached(scope="ADDRESS", maximum=self._settings.connections_per_address_max)
        self.connections += 1
        self._by_address[address] += 1
        return Place(self, address)

    def take_user(self, user_id: UUID) -> None:
        if self._by_user[user_id] >= self._settings.connections_per_user_max:
            raise ConnectionLimitReached(scope="USER", maximum=self._settings.connections_per_user_max)
        self._by_user[user_id] += 1

    def give_back(self, place: Place) -> None:
        self.connections -= 1
        _decrement(self._by_address, place.address)
        if place.user_id is not None:
            _decrement(self._by_user, place.user_id)


class MessageRate:
    """A token bucket: `burst` messages at once, and `per_second` of them over time."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_second")

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, burst
        self._left, self._at_s = float(burst), monotonic()

    def take(self) -> bool:
        """Whether one more message may come now."""
        now_s = monotonic()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_second)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


def address_of(connection: HTTPConnection | Head, *, header: str) -> str:
    """Return the client's address, an IPv6 one as its network.

    `header` is the setting `client_address_header`. Of what stands in it only the last element was written by our own
    proxy; where that is no address, or no header is set, the peer of the connection counts.
    """
    client = connection.scope.get("client")
    named = address_in(connection.headers.get(header, "")) if header else None
    return named or address_of_peer(client[0] if client else "")


def address_in(header: str) -> str | None:
    """Return the address that our own proxy wrote; None where there is none."""
    return _counted(header.rpartition(",")[2].strip())


def address_of_peer(peer: str) -> str:
    """Return the address of a connection, as it is counted."""
    return _counted(peer) or peer


@lru_cache(maxsize=ADDRESSES_KEPT_MAX)
def _counted(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if address.version == 4:  # noqa: PLR2004 -- the name of the protocol.
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_NETWORK_BITS), strict=False))


def _decrement(counter: Counter[K], key: K) -> None:
    """Count one less, and forget what is at zero, so that the counter is as large as what is open."""
    counter[key] -= 1
    assert counter[key] >= 0, "given back more than taken"
    if not counter[key]:
        del counter[key]
