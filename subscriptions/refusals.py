"""What is answered over HTTP where nothing was executed, whoever found that out."""

from __future__ import annotations

from graphql import OperationType

from domain.identity.tokens import TokenRefused
from kernel.errors import Locale, YoukaError
from subscriptions.answers import response
from subscriptions.errors import internal_error, refusal
from subscriptions.execution import Prepared
from subscriptions.heads import Reply
from subscriptions.limits import ConnectionLimitReached, ServerRestarting
from subscriptions.negotiation import JSON
from subscriptions.origins import OriginNotAllowed
from subscriptions.requests import RequestRefused

RETRY_AFTER_S = "5"


def refused_entry(error: YoukaError, *, locale: Locale) -> Reply:
    """Return what is answered instead of a stream or a handshake: 429 is for the one who asks, 503 for everybody."""
    everybody = isinstance(error, ServerRestarting) or error.values.get("scope") == "SERVER"
    return response(
        {"errors": [refusal(error, locale=locale)]},
        status=503 if everybody else 429,
        media_type=JSON,
        headers={"retry-after": RETRY_AFTER_S},
    )


def failed(error: Exception, *, locale: Locale) -> Reply:
    """Return the answer where no operation could be chosen, or something went wrong on the way to one."""
    if isinstance(error, RequestRefused):
        body = {"message": error.message, "extensions": {"code": error.code}}
        return response({"errors": [body]}, status=error.status, headers=error.headers)
    if isinstance(error, ConnectionLimitReached | ServerRestarting):
        return refused_entry(error, locale=locale)
    if not isinstance(error, YoukaError):
        return response({"errors": [internal_error(error, locale=locale)]}, status=500)
    errors = {"errors": [refusal(error, locale=locale)]}
    if isinstance(error, TokenRefused):
        return response(errors, status=401, headers={"www-authenticate": 'Bearer error="invalid_token"'})
    return response(errors, status=403 if isinstance(error, OriginNotAllowed) else 400)


def check_allowed(prepared: Prepared, method: str, *, streams: bool) -> None:
    """Raises RequestRefused."""
    if prepared.type is OperationType.MUTATION and method == "GET":
        raise RequestRefused(405, "OPERATION_NOT_ALLOWED", "Send mutations with POST.", headers={"allow": "POST"})
    if prepared.type is OperationType.SUBSCRIPTION and not streams:
        message = "Send subscriptions over the WebSocket, or accept text/event-stream."
        raise RequestRefused(400, "OPERATION_NOT_ALLOWED", message)
