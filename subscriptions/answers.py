"""What a plain HTTP answer looks like (https://graphql.github.io/graphql-over-http/draft/#sec-Response)."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from subscriptions.errors import is_internal
from subscriptions.negotiation import GRAPHQL_RESPONSE, JSON

# These say that nothing was chosen to be executed, whatever media type the client accepts.
NOT_EXECUTABLE = {"OPERATION_NAME_REQUIRED", "OPERATION_NOT_FOUND"}


def answered(body: dict[str, Any], *, media_type: str) -> Response:
    """Return the answer of an operation; without `data` in it nothing was executed, as where variables are refused."""
    if "data" not in body:
        return not_executed(body["errors"], media_type=media_type)
    return response(body, status=200, media_type=media_type)


def not_executed(errors: list[dict[str, Any]], *, media_type: str) -> Response:
    """Return the answer of a request error; before graphql-response+json its status was 200."""
    codes = {error["extensions"]["code"] for error in errors}
    if any(is_internal(error) for error in errors):
        status = 500
    elif codes & NOT_EXECUTABLE or media_type == GRAPHQL_RESPONSE:
        status = 400
    else:
        status = 200
    return response({"errors": errors}, status=status, media_type=media_type)


def response(
    body: dict[str, Any], *, status: int, media_type: str = JSON, headers: dict[str, str] | None = None
) -> Response:
    return Response(
        orjson.dumps(body, default=str),
        status_code=status,
        headers={
            "content-type": f"{media_type}; charset=utf-8",
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            **(headers or {}),
        },
    )
