"""Reading a GraphQL request, the same from HTTP, an event stream and a WebSocket.

https://graphql.github.io/graphql-over-http/draft/, with persisted documents as in its appendix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from starlette.requests import Request

from subscriptions.negotiation import JSON

# What is read is written again, as a key or an echo, and a JSON writer gives up before the reader does.
NESTING_MAX = 100


class RequestRefused(Exception):
    """The request is not one that could be executed: an HTTP status, a code, and what is wrong."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})


class RequestMalformed(RequestRefused):
    """It has not even the shape of a request."""

    def __init__(self, message: str, *, code: str = "BAD_REQUEST") -> None:
        super().__init__(400, code, message)


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    query: str
    variables: dict[str, Any] | None
    operation_name: str | None
    extensions: dict[str, Any] | None


class Documents(Protocol):
    """The documents that a request may name by an id."""

    def text_of(self, query: str | None, ids: Sequence[str]) -> str | None:
        """Return the document to execute, None where there is none. Raises YoukaError."""


async def read_fields(request: Request, *, body_size_max: int) -> Any:
    """Return the JSON of an HTTP request, whatever it is. Raises RequestRefused, and starlette's ClientDisconnect."""
    if request.method == "GET":
        return _parameters(request.query_params)
    if request.method == "POST":
        _check_content_type(request.headers.get("content-type", ""))
        return _decoded(await _body(request, body_size_max), "The body")
    raise RequestRefused(405, "METHOD_NOT_ALLOWED", "Use GET or POST.", headers={"allow": "GET, POST"})


def request_of(fields: Any, documents: Documents) -> GraphQLRequest:
    """Return what to execute.

    Raises RequestMalformed, RequestRefused for an empty document, or what `documents` raises.
    """
    if isinstance(fields, list):
        raise RequestMalformed("Send one request at a time.", code="BATCHING_UNSUPPORTED")
    if not isinstance(fields, dict):
        raise RequestMalformed("The body must be a JSON object.")
    for key in ("query", "operationName", "documentId"):
        if not isinstance(fields.get(key), str | None):
            raise RequestMalformed(f"`{key}` must be a string or null.")
    for key in ("variables", "extensions"):
        if not isinstance(fields.get(key), dict | None):
            raise RequestMalformed(f"`{key}` must be an object or null.")
        if nested_deeper_than(NESTING_MAX, fields.get(key)):
            raise RequestMalformed(f"`{key}` may be nested {NESTING_MAX} levels deep.")
    query = documents.text_of(fields.get("query"), _document_ids(fields))
    if query is None:
        raise RequestMalformed("`query` must be a GraphQL document.")
    if not query.strip():
        raise RequestRefused(400, "BAD_REQUEST", "`query` must be a GraphQL document.")
    return GraphQLRequest(
        query=query,
        variables=fields.get("variables"),
        operation_name=fields.get("operationName") or None,
        extensions=fields.get("extensions"),
    )


def nested_deeper_than(levels: int, value: Any) -> bool:
    """Whether a JSON value has arrays and objects inside each other in more levels than that."""
    if not isinstance(value, list | dict):
        return False
    if levels == 0:
        return True
    return any(nested_deeper_than(levels - 1, each) for each in (value.values() if isinstance(value, dict) else value))


def _document_ids(fields: dict[str, Any]) -> list[str]:
    """Return the ids that the request names its document by: `documentId`, and the older extension."""
    ids = [fields["documentId"]] if fields.get("documentId") else []
    persisted = (fields.get("extensions") or {}).get("persistedQuery")
    if persisted is not None:
        given = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
        if not isinstance(given, str) or not given:
            raise RequestMalformed("`extensions.persistedQuery.sha256Hash` must be a string.")
        ids.append(given)
    return ids


def _parameters(query: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {name: query[name] for name in ("query", "operationName", "documentId") if name in query}
    for name in ("variables", "extensions"):
        if query.get(name):
            fields[name] = _decoded(query[name].encode(errors="surrogatepass"), f"`{name}`")
    return fields


def _check_content_type(content_type: str) -> None:
    """A form or plain text can be posted by any page without asking first; JSON cannot."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next((part[8:].strip('"') for part in parameters if part.startswith("charset=")), "utf-8")
    if media_type != JSON or charset not in {"utf-8", "utf8"}:
        raise RequestRefused(415, "CONTENT_TYPE_UNSUPPORTED", "Send application/json in UTF-8.")


async def _body(request: Request, size_max: int) -> bytes:
    too_large = RequestRefused(413, "BODY_TOO_LARGE", f"The body may have at most {size_max} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > size_max:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > size_max:
            raise too_large
    return bytes(body)


def _decoded(text: bytes, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise RequestRefused(400, "BAD_REQUEST", f"{name} must be JSON in UTF-8.") from None
