"""What a plain HTTP answer looks like (https://graphql.github.io/graphql-over-http/draft/#sec-Response)."""

from __future__ import annotations

import time
from functools import lru_cache
from hashlib import blake2b
from math import ceil, floor
from typing import Any

import orjson

from subscriptions.charging import MS, RateLimited, headers_of, lines_of
from subscriptions.errors import is_internal
from subscriptions.heads import Head, RawHeaders, Reply, Whole, lines, raw
from subscriptions.negotiation import GRAPHQL_RESPONSE, JSON
from subscriptions.operations import Answer

TAG_SIZE_BYTES = 16
VARIES = b"accept, accept-language, authorization"
NOT_KEPT = (b"cache-control", b"no-store")
# These say that nothing was chosen to be executed, whatever media type the client accepts.
NOT_EXECUTABLE = {
    "OPERATION_NAME_REQUIRED", "OPERATION_NOT_FOUND", "PERSISTED_QUERY_MISMATCH", "DOCUMENT_NOT_TRUSTED",
}  # fmt: skip


def answered(answer: Answer, *, media_type: str) -> Reply:
    """Return the answer of an operation, or why nothing was executed."""
    if answer.refused is not None:
        return not_executed(answer.refused, media_type=media_type)
    return _reply(answer.body, 200, media_type, headers_of(answer.charge) if answer.charge else [])


def whole(answer: Answer, *, media_type: str, more: bytes) -> Whole:
    """As `answered`, as HTTP/1.1 has it, with these lines of headers behind its own."""
    if answer.refused is not None:
        return not_executed(answer.refused, media_type=media_type).whole(more)
    body, cost = answer.body, lines_of(answer.charge) if answer.charge else b""
    return Whole(200, b"%b%bcontent-length: %d\r\n%b" % (_first_lines(media_type), cost, len(body), more), body)


def kept_or_answered(request: Head, answer: Answer, *, media_type: str) -> Reply:
    """As `answered`, with what a cache may do with it where it was asked for by GET."""
    executed = answer.executed
    if request.method != "GET" or executed is None or executed.keeping is None:
        return answered(answer, media_type=media_type)
    # What each request cost would make every answer another one; the headers say it, to whoever asked.
    tag = entity_tag(executed.body)
    signed_in = "authorization" in request.headers
    public = not executed.keeping.private and not signed_in
    # What is kept here is forgotten when it is changed; whoever keeps it elsewhere asks again after its age.
    lasts_s = max(0, min(executed.keeping.max_age_s, floor(executed.fresh_until - time.monotonic())))
    control = f"{'public' if public else 'private'}, " + (
        "no-cache" if executed.keeping.private else f"max-age={lasts_s}"
    )
    headers = [(b"etag", tag), (b"vary", VARIES), (b"cache-control", control.encode())]
    if answer.charge is not None and not public:
        headers += headers_of(answer.charge)
    if matches(request.headers.get("if-none-match", ""), tag):
        return Reply(304, headers, None)
    return Reply(200, [_content_type(media_type), *headers], executed.body)


def entity_tag(body: bytes) -> bytes:
    return b'"%b"' % blake2b(body, digest_size=TAG_SIZE_BYTES).hexdigest().encode()


def matches(header: str, tag: bytes) -> bool:
    """Whether the client has it already (https://www.rfc-editor.org/rfc/rfc9110#field.if-none-match)."""
    if header.strip() == "*":
        return True
    return tag.decode() in (each.strip().removeprefix("W/") for each in header.split(","))


def not_executed(errors: list[dict[str, Any]], *, media_type: str) -> Reply:
    """Return the answer of a request error; before graphql-response+json its status was 200."""
    codes = {error["extensions"]["code"] for error in errors}
    headers = None
    if RateLimited.code in codes:
        status = 429
        wait_ms = max(error["extensions"].get("retryAfterMs", 0) for error in errors)
        headers = {"retry-after": str(max(1, ceil(wait_ms / MS)))}
    elif any(is_internal(error) for error in errors):
        status = 500
    elif codes & NOT_EXECUTABLE or media_type == GRAPHQL_RESPONSE:
        status = 400
    else:
        status = 200
    return response({"errors": errors}, status=status, media_type=media_type, headers=headers)


def response(
    body: dict[str, Any], *, status: int, media_type: str = JSON, headers: dict[str, str] | None = None
) -> Reply:
    return _reply(orjson.dumps(body, default=str), status, media_type, raw(headers or {}))


def _reply(body: bytes, status: int, media_type: str, headers: RawHeaders) -> Reply:
    return Reply(status, [_content_type(media_type), NOT_KEPT, *headers], body)


@lru_cache(maxsize=8)
def _first_lines(media_type: str) -> bytes:
    return lines([_content_type(media_type), NOT_KEPT])


@lru_cache(maxsize=8)
def _content_type(media_type: str) -> tuple[bytes, bytes]:
    return b"content-type", f"{media_type}; charset=utf-8".encode()
