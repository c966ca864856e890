"""What headers and connection parameters ask for: a language, a media type, a request id, a token."""

from __future__ import annotations

import random
import re
from functools import lru_cache

from kernel.errors import DEFAULT_LOCALE, Locale

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9\-._~+/]+=*) *")
REQUEST_ID_BITS = 128
HEADER_LENGTH_MAX = 1_024
PARTS_MAX = 32
# Most clients send one of a few values.
HEADERS_KEPT_MAX = 256

_request_ids = random.Random()  # noqa: S311 -- an id is no secret.


def by_preference(header: str) -> list[str]:
    """Return the values of an Accept header, lower case, the preferred first; those with `q=0` are left out."""
    weighted: list[tuple[float, str]] = []
    for part in header[:HEADER_LENGTH_MAX].split(",")[:PARTS_MAX]:
        value, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        if value and re.fullmatch(r"[01](\.\d{0,3})?", quality) and float(quality) > 0:
            weighted.append((float(quality), value))
    return [value for _, value in sorted(weighted, key=lambda pair: -pair[0])]


@lru_cache(maxsize=HEADERS_KEPT_MAX)
def locale_of(accept_language: str) -> Locale:
    """Return the preferred language that we speak; Chinese where none of them is asked for."""
    for language in by_preference(accept_language):
        if language == "en" or language.startswith("en-"):
            return "en"
        if language == "zh" or language.startswith("zh-"):
            return "zh-CN"
    return DEFAULT_LOCALE


@lru_cache(maxsize=HEADERS_KEPT_MAX)
def media_type_of(accept: str) -> str:
    """Return the media type of the answer; `application/json` where nothing we have is asked for."""
    for media_type in by_preference(accept):
        if media_type in {GRAPHQL_RESPONSE, EVENT_STREAM}:
            return media_type
        if media_type in {JSON, "application/*", "*/*"}:
            return JSON
    return JSON


@lru_cache(maxsize=HEADERS_KEPT_MAX)
def takes_events(accept: str) -> bool:
    """Whether the client named the media type of event streams, however much it prefers others."""
    return EVENT_STREAM in by_preference(accept)


def request_id_of(given: str | None) -> str:
    """Return the caller's request id where it is 1 to 64 plain characters, else a new one."""
    if given and REQUEST_ID.fullmatch(given):
        return given
    # It is shown to whoever asked, and is no secret.
    return f"{random.getrandbits(REQUEST_ID_BITS):032x}"


def bearer_token_of(authorization: str) -> str | None:
    """Return the token of a `Bearer` header (RFC 6750, section 2.1), None where it is something else."""
    found = BEARER.fullmatch(authorization)
    return found.group(1) if found else None
