"""Which addresses a webhook may be sent to; no I/O.

A partner chooses the URL, and the server that calls it stands inside our network, so everything but the public internet
is refused (server-side request forgery). The URL is read strictly, so that no two readers can understand two hosts, and
what is called later is built from the parts that were read here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from kernel.errors import YoukaError
from kernel.settings import Settings

URL_LENGTH_MAX = 2_048
HOST_LENGTH_MAX = 253
DEFAULT_PORTS = {"https": 443, "http": 80}
PORT_MAX = 65_535
# RFC 3986 without what nobody needs in a webhook's address; whatever else there is has to be percent-encoded.
SHAPE = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9\-._~%!$&'()*+,;=:@/]*)?(?P<query>\?[A-Za-z0-9\-._~%!$&'()*+,;=:@/?]*)?"
)
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# A last label like these makes a reader take the whole host for an IPv4 address (WHATWG URL, "ends in a number").
NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")

# What the registries of special-purpose addresses of the IANA do not call globally reachable (RFC 6890), and what leads
# on to such addresses (RFC 3056, 3068, 4380).
IPV4_REFUSED = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# All of IPv6 that is global unicast lies in here; mapped, NAT64, unique local and link-local addresses lie outside.
IPV6_GLOBAL = ipaddress.IPv6Network("2000::/3")
IPV6_REFUSED = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class UrlReason(StrEnum):
    MALFORMED = "MALFORMED"
    TOO_LONG = "TOO_LONG"
    SCHEME = "SCHEME"
    CREDENTIALS = "CREDENTIALS"
    FRAGMENT = "FRAGMENT"
    HOST = "HOST"
    PORT = "PORT"
    ADDRESS = "ADDRESS"
    UNRESOLVABLE = "UNRESOLVABLE"


class WebhookUrlInvalid(YoukaError):
    """Carries a UrlReason alone: what an internal name resolves to is nobody's business outside."""

    code = "WEBHOOK_URL_INVALID"
    messages = {
        "zh-CN": "该地址不能用于接收通知: {reason}",
        "en": "This URL cannot receive webhooks: {reason}",
    }


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """What this deployment allows; loopback and plain HTTP are for development alone."""

    ports: frozenset[int]
    allows_loopback: bool

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(ports=frozenset(settings.webhook_ports), allows_loopback=settings.development)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its parts. `host` is a name or an address without brackets; `path` holds the query, too."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> IPAddress | None:
        """The host, where it is written as an address."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """What the Host header says (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def read(url: str, policy: UrlPolicy) -> Target:
    """Return the URL's parts where it may be called as far as it can be told without a network.

    Raises WebhookUrlInvalid.
    """
    target = _parts(url)
    address = target.address
    if address is not None:
        check_address(address, policy)
    if policy.allows_loopback:
        return target
    if target.scheme != "https":
        raise WebhookUrlInvalid(reason=UrlReason.SCHEME)
    if target.port not in policy.ports:
        raise WebhookUrlInvalid(reason=UrlReason.PORT)
    return target


def check_address(address: IPAddress, policy: UrlPolicy) -> None:
    """Raises WebhookUrlInvalid where nothing outside our network is at the address."""
    if policy.allows_loopback and address.is_loopback:
        return
    if isinstance(address, ipaddress.IPv4Address):
        allowed = not any(address in network for network in IPV4_REFUSED)
    else:
        allowed = address in IPV6_GLOBAL and not any(address in network for network in IPV6_REFUSED)
        # A scope names one of our own interfaces.
        allowed = allowed and address.scope_id is None
    if not allowed:
        raise WebhookUrlInvalid(reason=UrlReason.ADDRESS)


def check_reached(target: Target, address: IPAddress, policy: UrlPolicy) -> None:
    """Check an address that the host's name leads to; plain HTTP leaves this machine nowhere.

    Raises WebhookUrlInvalid.
    """
    check_address(address, policy)
    if target.scheme == "http" and not address.is_loopback:
        raise WebhookUrlInvalid(reason=UrlReason.SCHEME)


def _parts(url: str) -> Target:
    if len(url) > URL_LENGTH_MAX:
        raise WebhookUrlInvalid(reason=UrlReason.TOO_LONG)
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in DEFAULT_PORTS:
        raise WebhookUrlInvalid(reason=UrlReason.SCHEME if separator else UrlReason.MALFORMED)
    if "#" in rest:
        raise WebhookUrlInvalid(reason=UrlReason.FRAGMENT)
    if "@" in re.split(r"[/?]", rest, maxsplit=1)[0]:
        raise WebhookUrlInvalid(reason=UrlReason.CREDENTIALS)
    found = SHAPE.fullmatch(url)
    if found is None:
        raise WebhookUrlInvalid(reason=UrlReason.MALFORMED)
    scheme = found["scheme"]
    port = int(found["port"]) if found["port"] else DEFAULT_PORTS[scheme]
    if not 0 < port <= PORT_MAX:
        raise WebhookUrlInvalid(reason=UrlReason.PORT)
    target = Target(
        scheme, (found["v6"] or found["name"]).lower(), port, (found["path"] or "/") + (found["query"] or "")
    )
    _check_host(target, bracketed=found["v6"] is not None)
    return target


def _check_host(target: Target, *, bracketed: bool) -> None:
    if bracketed != isinstance(target.address, ipaddress.IPv6Address):
        raise WebhookUrlInvalid(reason=UrlReason.HOST)
    if target.address is not None:
        return
    labels = target.host.split(".")
    if len(target.host) > HOST_LENGTH_MAX or not all(LABEL.fullmatch(label) for label in labels):
        raise WebhookUrlInvalid(reason=UrlReason.HOST)
    if NUMERIC.fullmatch(labels[-1]):
        raise WebhookUrlInvalid(reason=UrlReason.HOST)
