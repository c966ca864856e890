"""All servers must answer alike before it means anything that one of them is faster."""

from __future__ import annotations

import copy
import difflib
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import orjson

from bench.load import PATH
from bench.operations import KEY_LENGTH, KEY_MARK, OPERATIONS, AnswerWrong, Operation, body_of, data_of
from bench.servers import Server

DIFFERENCE_LINES_MAX = 60
TIMEOUT_S = 30.0


class AnswersDiffer(Exception):
    """Two servers disagree, or one of them with itself; the message shows where."""


def compare(servers: Sequence[Server], samples: dict[str, list[dict[str, Any]]], *, per_operation: int) -> int:
    """Ask every server the same and return how many recharges each of them has acknowledged.

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
                first, *others = [(name, _without(operation.changing, data)) for name, data in given]
                for other in others:
                    _require_equal(operation.name, first, other)
                if not operation.changing:
                    continue
                recharges += 1
                for server, (name, data) in zip(servers, given, strict=True):
                    again = _ask(client, server, operation, sample["token"], variables)
                    _require_equal(operation.name, (name, data), (f"{name}, again", again))
    return recharges


def require_shown(servers: Sequence[Server], samples: dict[str, list[dict[str, Any]]]) -> int:
    """Ask for an account, make an order, and ask again: the order has to be there, whatever is kept.

    Return how many recharges each server has acknowledged. Raises AnswerWrong.
    """
    sample, operation = samples["recharge"][0], OPERATIONS["recharge"]
    token = sample["token"]
    with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
        for server in servers:
            # Once to keep it, and once to find it.
            before = [_newest_order(client, server, token) for _ in range(2)][-1]
            data = _ask(client, server, operation, token, _with_key(sample["variables"]))
            made, newest = data["createRecharge"]["order"]["id"], _newest_order(client, server, token)
            if newest != made:
                raise AnswerWrong(f"{server.name} shows {newest} after it made {made}, and {before} before")
    return 1


def _newest_order(client: httpx.Client, server: Server, token: str) -> Any:
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {token}"}
    answer = client.post(server.url + PATH, content=body_of(OPERATIONS["account"], {"first": 1}), headers=headers)
    edges = answer.json()["data"]["viewer"]["orders"]["edges"]
    return edges[0]["node"]["id"] if edges else None


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
