"""RSA2 as Alipay's open platform uses it: over sorted parameters of what is sent, over the bytes of what is answered.

Sources: Alipay's open platform, "如何自行实现加签", "如何自行实现验签" and "异步通知验签". RSA2 is
RSASSA-PKCS1-v1_5 with SHA-256; the platform's older RSA (SHA-1) and MD5 are not accepted anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl

from gateways.documents import Malformed

SIGN_TYPE = "RSA2"
WHITESPACE = " \t\r\n"
FIELDS_MAX = 100
# Neither is covered by the signature of a notice; the signature of a request covers its sign_type.
UNSIGNED = frozenset({"sign"})
UNSIGNED_OF_NOTICES = frozenset({"sign", "sign_type"})


def signed_text(parameters: Mapping[str, str], *, without: frozenset[str]) -> bytes:
    """Return the parameters as they are signed: sorted by name, without empty ones, as `a=1&b=2`, not escaped."""
    pairs = sorted((name, value) for name, value in parameters.items() if value and name not in without)
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def read_form(body: bytes) -> dict[str, str]:
    """Read a form in UTF-8. Raises Malformed, also where a field comes twice: one of them would not be signed."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError:
        raise Malformed("not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Malformed("a field comes twice")
    return form


def nodes(body: bytes) -> dict[str, bytes]:
    """Return each member of an answer's outermost object as exactly the bytes that it was written with.

    The signature covers the bytes of one node, so they must not be read and written again. Raises Malformed.
    """
    try:
        text = body.decode("utf-8")
        return _members(text)
    except (ValueError, IndexError):
        raise Malformed("not an object of JSON") from None


def _members(text: str) -> dict[str, bytes]:
    decoder = json.JSONDecoder()
    at = _expect(text, _skip(text, 0), "{")
    found: dict[str, bytes] = {}
    while True:
        name, end = decoder.raw_decode(text, _skip(text, at))
        if not isinstance(name, str) or name in found:
            raise ValueError("a name that is none, or comes twice")
        start = _skip(text, _expect(text, _skip(text, end), ":"))
        _, end = decoder.raw_decode(text, start)
        found[name] = text[start:end].encode()
        at = _skip(text, end)
        if text[at] == "}":
            break
        at = _expect(text, at, ",")
    if _skip(text, at + 1) != len(text):
        raise ValueError("something follows")
    return found


def _expect(text: str, at: int, character: str) -> int:
    if text[at] != character:
        raise ValueError(f"no {character}")
    return at + 1


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in WHITESPACE:
        at += 1
    return at
