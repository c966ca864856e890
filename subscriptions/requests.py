"""Reading a GraphQL request, the same from HTTP, an event stream and a WebSocket.

https://graphql.github.io/graphql-over-http/draft/, with persisted documents as in its appendix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import orjson
from starlette.datastructures import QueryParams
from starlette.types import Receive

from subscriptions.heads import Head, read_body
from subscriptions.negotiation import JSON

# What is read is written again, as a key or an echo, and a JSON writer gives up before the reader does.
NESTING_MAX = 100
# No JSON begins with it.
QUESTION_MARK = b"?"
PERSISTED_QUERY_VERSION = 1
CONTENT_TYPES_KEPT_MAX = 64
NESTED = (list, dict)


class RequestRefused(Exception):
    """The request is not one that could be executed: an HTTP status, a code, and what is wrong."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})


class RequestMalformed(RequestRefused):
    """It has not even the shape of a request."""

    def __init__(self, message: str, *, code: str = "BAD_REQUEST") -> None:
        super().__init__(400, code, message)


class GraphQLRequest(NamedTuple):
    query: str
    variables: dict[str, Any] | None
    operation_name: str | None
    extensions: dict[str, Any] | None
    # The hash by which the client wants to name this document from now on.
    automatic: str | None = None


class Asked(NamedTuple):
    """A request as it was sent: with a document, or with what names one."""

    query: str | None
    document_id: str | None
    automatic: str | None
    variables: dict[str, Any] | None
    operation_name: str | None
    extensions: dict[str, Any] | None


class Documents(Protocol):
    """The documents that are known from the start."""

    def text_of(self, query: str | None, ids: Sequence[str]) -> str | None:
        """Return the document to execute, None where there is none. Raises YoukaError."""


class PersistedDocuments(Protocol):
    """The documents that a request may name: those known from the start, and those that clients have sent before."""

    def find_here(self, query: str | None, *, document_id: str | None, automatic: str | None) -> str | None:
        """Return the document to execute; None where finding it takes waiting. Raises YoukaError."""

    async def find(self, query: str | None, *, document_id: str | None, automatic: str | None) -> str:
        """Return the document to execute. Raises YoukaError."""

    async def keep(self, text: str, *, automatic: str) -> None:
        """Know the document by its hash from now on; where that fails, the client sends it once more."""


async def read_asked(request: Head, receive: Receive, *, body_size_max: int) -> bytes:
    """Return the letters by which an HTTP request asks: a body, or the query of the address with its question mark.

    Raises RequestRefused, and starlette's ClientDisconnect.
    """
    if request.method == "GET":
        return QUESTION_MARK + bytes(request.scope["query_string"])
    if request.method == "POST":
        if not is_json(request.headers.get("content-type", "")):
            raise RequestRefused(415, "CONTENT_TYPE_UNSUPPORTED", "Send application/json in UTF-8.")
        return await _body(request, receive, body_size_max)
    raise RequestRefused(405, "METHOD_NOT_ALLOWED", "Use GET or POST.", headers={"allow": "GET, POST"})


def fields_of(request: Head, asked: bytes) -> Any:
    """Return the JSON of a request that was read, whatever it is. Raises RequestRefused."""
    return _parameters(query_of(request)) if request.method == "GET" else decoded(asked, "The body")


def query_of(request: Head) -> QueryParams:
    """Return the parameters of the address."""
    return QueryParams(request.scope["query_string"])


def request_of(fields: Any) -> Asked:
    """Return what is asked. Raises RequestMalformed, or RequestRefused for an empty document."""
    if isinstance(fields, list):
        raise RequestMalformed("Send one request at a time.", code="BATCHING_UNSUPPORTED")
    if not isinstance(fields, dict):
        raise RequestMalformed("The body must be a JSON object.")
    query, name, document_id = _text(fields, "query"), _text(fields, "operationName"), _text(fields, "documentId")
    variables, extensions = _object(fields, "variables"), _object(fields, "extensions")
    automatic = _automatic(extensions) if extensions else None
    if query is None and not document_id and automatic is None:
        raise RequestMalformed("`query` must be a GraphQL document.")
    if query is not None and (not query or query.isspace()):
        raise RequestRefused(400, "BAD_REQUEST", "`query` must be a GraphQL document.")
    return Asked(query, document_id or None, automatic, variables, name or None, extensions)


def with_document(asked: Asked, text: str) -> GraphQLRequest:
    """Return the request with the document that it has or names."""
    query, _, automatic, variables, operation_name, extensions = asked
    return GraphQLRequest(text, variables, operation_name, extensions, automatic if query is not None else None)


def nested_deeper_than(levels: int, value: Any) -> bool:
    """Whether a JSON value has arrays and objects inside each other in more levels than that."""
    if not isinstance(value, NESTED):
        return False
    if levels == 0:
        return True
    for each in value.values() if isinstance(value, dict) else value:
        # Most values are neither, and need no call to tell.
        if isinstance(each, NESTED) and nested_deeper_than(levels - 1, each):
            return True
    return False


def _text(fields: dict[str, Any], key: str) -> str | None:
    given = fields.get(key)
    if given is None or isinstance(given, str):
        return given
    raise RequestMalformed(f"`{key}` must be a string or null.")


def _object(fields: dict[str, Any], key: str) -> dict[str, Any] | None:
    given = fields.get(key)
    if given is None:
        return None
    if not isinstance(given, dict):
        raise RequestMalformed(f"`{key}` must be an object or null.")
    if nested_deeper_than(NESTING_MAX, given):
        raise RequestMalformed(f"`{key}` may be nested {NESTING_MAX} levels deep.")
    return given


def _automatic(extensions: dict[str, Any]) -> str | None:
    """Return the hash in the extension of automatic persisted queries.

    https://www.apollographql.com/docs/apollo-server/performance/apq
    """
    persisted = extensions.get("persistedQuery")
    if persisted is None:
        return None
    given = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(given, str) or not given:
        raise RequestMalformed("`extensions.persistedQuery.sha256Hash` must be a string.")
    if persisted.get("version", PERSISTED_QUERY_VERSION) != PERSISTED_QUERY_VERSION:
        message = f"`extensions.persistedQuery.version` must be {PERSISTED_QUERY_VERSION}."
        raise RequestRefused(400, "PERSISTED_QUERY_NOT_SUPPORTED", message)
    return given


def _parameters(query: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {name: query[name] for name in ("query", "operationName", "documentId") if name in query}
    for name in ("variables", "extensions"):
        if query.get(name):
            fields[name] = decoded(query[name].encode(errors="surrogatepass"), f"`{name}`")
    return fields


@lru_cache(maxsize=CONTENT_TYPES_KEPT_MAX)
def is_json(content_type: str) -> bool:
    """A form or plain text can be posted by any page without asking first; JSON cannot."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next((part[8:].strip('"') for part in parameters if part.startswith("charset=")), "utf-8")
    return media_type == JSON and charset in {"utf-8", "utf8"}


async def _body(request: Head, receive: Receive, size_max: int) -> bytes:
    announced = request.headers.get("content-length", "")
    body = None
    if not announced.isdecimal() or int(announced) <= size_max:
        body = await read_body(receive, size_max=size_max)
    if body is None:
        raise RequestRefused(413, "BODY_TOO_LARGE", f"The body may have at most {size_max} bytes.")
    return body


def decoded(text: bytes, name: str) -> Any:
    """Return the JSON of a part of a request. Raises RequestRefused."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise RequestRefused(400, "BAD_REQUEST", f"{name} must be JSON in UTF-8.") from None
