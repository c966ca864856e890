"""The messages of graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md)."""

from __future__ import annotations

from typing import Any

import orjson

OPERATION_ID_LENGTH_MAX = 128

# Close codes of the protocol, and from 4510 on our own.
GOING_AWAY = 1012
BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
INITIALISATION_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_REQUESTS = 4429
INTERNAL_SERVER_ERROR = 4500
PEER_SILENT = 4511
READER_TOO_SLOW = 4512

ACKNOWLEDGED = b'{"type":"connection_ack"}'


class MessageMalformed(Exception):
    """The message is not one of the protocol; what is wrong, for the close frame."""


def read_message(text: str | None) -> dict[str, Any]:
    """Return the message in a text frame, None being a binary one. Raises MessageMalformed.

    `type` is one of connection_init, ping, pong, subscribe and complete; `payload` is an object where there is one, and
    `id` a string where the type has it. What stands in the payload of `subscribe` is for who reads the request.
    """
    if text is None:
        raise MessageMalformed("A message must be text")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise MessageMalformed("A message must be JSON") from None
    if not isinstance(message, dict):
        raise MessageMalformed("A message must be an object")
    kind, payload = message.get("type"), message.get("payload")
    # Tuples, since a set cannot be asked for what cannot be hashed, such as a list.
    if kind in ("connection_init", "ping", "pong"):
        if not isinstance(payload, dict | None):
            raise MessageMalformed("`payload` must be an object")
    elif kind in ("subscribe", "complete"):
        identifier = message.get("id")
        if not isinstance(identifier, str) or not 1 <= len(identifier) <= OPERATION_ID_LENGTH_MAX:
            raise MessageMalformed(f"`id` must be a string of 1 to {OPERATION_ID_LENGTH_MAX} characters")
        if kind == "subscribe" and not isinstance(payload, dict):
            raise MessageMalformed("`payload` must be an object")
    else:
        raise MessageMalformed("Unknown message type")
    return message


def ping(payload: dict[str, Any] | None = None) -> bytes:
    return orjson.dumps({"type": "ping"} if payload is None else {"type": "ping", "payload": payload})


def pong(payload: dict[str, Any] | None) -> bytes:
    return orjson.dumps({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})


def next_of(id: str, payload: bytes) -> bytes:
    """Return `next` around an encoded execution result."""
    return b'{"id":' + orjson.dumps(id) + b',"type":"next","payload":' + payload + b"}"


def error_of(id: str, errors: list[dict[str, Any]]) -> bytes:
    return orjson.dumps({"id": id, "type": "error", "payload": errors}, default=str)


def complete_of(id: str) -> bytes:
    return orjson.dumps({"id": id, "type": "complete"})
