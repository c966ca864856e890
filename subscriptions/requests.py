"""Reading a GraphQL request from HTTP (https://graphql.github.io/graphql-over-http/draft/)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from subscriptions.negotiation import JSON


class RequestRefused(Exception):
    """The request is not one that could be executed: an HTTP status, a code, and what is wrong."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    query: str
    variables: dict[str, Any] | None
    operation_name: str | None
    extensions: dict[str, Any] | None


async def read_request(request: Request, *, body_size_max: int) -> GraphQLRequest:
    """Return what to execute. Raises RequestRefused, and starlette's ClientDisconnect."""
    if request.method == "GET":
        return _checked(_parameters(request.query_params))
    if request.method == "POST":
        _check_content_type(request.headers.get("content-type", ""))
        return _checked(_decoded(await _body(request, body_size_max), "The body"))
    raise RequestRefused(405, "METHOD_NOT_ALLOWED", "Use GET or POST.", headers={"allow": "GET, POST"})


def _parameters(query: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {name: query[name] for name in ("query", "operationName") if name in query}
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


def _checked(fields: Any) -> GraphQLRequest:
    if isinstance(fields, list):
        raise RequestRefused(400, "BATCHING_UNSUPPORTED", "Send one request at a time.")
    if not isinstance(fields, dict):
        raise RequestRefused(400, "BAD_REQUEST", "The body must be a JSON object.")
    query = fields.get("query")
    if not isinstance(query, str) or not query.strip():
        raise RequestRefused(400, "BAD_REQUEST", "`query` must be a GraphQL document.")
    name = fields.get("operationName")
    if name is not None and not isinstance(name, str):
        raise RequestRefused(400, "BAD_REQUEST", "`operationName` must be a string or null.")
    for key in ("variables", "extensions"):
        if not isinstance(fields.get(key), dict | None):
            raise RequestRefused(400, "BAD_REQUEST", f"`{key}` must be an object or null.")
    return GraphQLRequest(
        query=query,
        variables=fields.get("variables"),
        operation_name=name or None,
        extensions=fields.get("extensions"),
    )
