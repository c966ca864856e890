"""Both servers must answer alike before it means anything that one of them is faster."""

from __future__ import annotations

import copy
import difflib
import secrets
from collections.abc import Iterable
from typing import Any

import httpx
import orjson

from bench.load import PATH
from bench.operations import KEY_LENGTH, KEY_MARK, OPERATIONS, Operation, body_of, data_of
from bench.servers import Server

DIFFERENCE_LINES_MAX = 60
TIMEOUT_S = 30.0


class AnswersDiffer(Exception):
    """The two servers disagree, or one of them with itself; the message shows where."""


def compare(servers: tuple[Server, Server], samples: dict[str, list[dict[str, Any]]], *, per_operation: int) -> int:
    """Ask both servers the same and return how many recharges each of them has acknowledged.

    A recharge is sent twice with the same key: the second answer must be the first one. Raises AnswersDiffer and
    AnswerWrong.
    """
    recharges = 0
    with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
        for operation in OPERATIONS.values():
            for sample in _spread(samples[operation.name], per_operation):
                variables = _with_key(sample["variables"])
                given = [
                    (server.name, _ask(client, server, operation, sample["token"], variables)) for server in servers
                ]
                _require_equal(operation.name, *[(name, _without(operation.changing, data)) for name, data in given])
                if not operation.changing:
                    continue
                recharges += 1
                for server, (name, data) in zip(servers, given, strict=True):
                    again = _ask(client, server, operation, sample["token"], variables)
                    _require_equal(operation.name, (name, data), (f"{name}, again", again))
    return recharges


def _spread(samples: list[dict[str, Any]], count: int) -> Iterable[dict[str, Any]]:
    """Return samples from everywhere in the list, since neighbours resemble each other."""
    return samples[:: max(1, len(samples) // count)][:count]


def _with_key(variables: dict[str, Any]) -> dict[str, Any]:
    text = orjson.dumps(variables).replace(KEY_MARK.encode(), secrets.token_hex(KEY_LENGTH // 2).encode())
    return dict(orjson.loads(text))


def _ask(client: httpx.Client, server: Server, operation: Operation, token: str, variables: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    answer = client.post(server.url + PATH, content=body_of(operation, variables), headers=headers)
    return data_of(operation, variables, answer.status_code, answer.content)


def _without(fields: frozenset[str], data: Any) -> Any:
    """Return the data with each of these paths (`field.field`) reduced to the type of what stands there."""
    reduced = copy.deepcopy(data)
    for path in fields:
        *parents, name = path.split(".")
        holder = reduced
        for parent in parents:
            holder = holder[parent]
        holder[name] = type(holder[name]).__name__
    return reduced


def _require_equal(operation: str, one: tuple[str, Any], other: tuple[str, Any]) -> None:
    (first_name, first), (second_name, second) = one, other
    if first == second:
        return
    lines = difflib.unified_diff(_pretty(first), _pretty(second), first_name, second_name, lineterm="")
    shown = "\n".join(list(lines)[:DIFFERENCE_LINES_MAX])
    raise AnswersDiffer(f"{operation}: the answers differ\n{shown}")


def _pretty(data: Any) -> list[str]:
    return orjson.dumps(data, option=orjson.OPT_INDENT_2).decode().splitlines()
