"""The four operations that are measured: their documents, and how an answer must look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

NEAREST = 20
NEAREST_RADIUS_M = 20_000
ORDERS_SHOWN = 20
# How many products have a price at each station.
PRICES = 4
AMOUNT_YUAN = "500.00"

# Stands in a prepared request where each sending puts a key of its own; the length stays, so the headers do too.
KEY_LENGTH = 32
KEY_MARK = "@" * KEY_LENGTH

STATION_DOCUMENT = """
query Station($id: ID!) {
  station(id: $id) {
    id name brand address province city district
    location { latitude longitude }
    zone { id provinceCode provinceName code name }
    prices { id product unitPrice { milliyuan yuan text } effectiveFrom source sourceUrl }
  }
}"""
NEAREST_DOCUMENT = """
query Nearest($near: LocationInput!, $radius: Int!, $first: Int!) {
  stations(near: $near, radius: $radius, first: $first) {
    edges {
      distance
      node {
        id name brand address
        location { latitude longitude }
        prices { product unitPrice { milliyuan text } }
      }
    }
    pageInfo { hasNextPage }
  }
}"""
ACCOUNT_DOCUMENT = """
query Account($first: Int!) {
  viewer {
    profile { id displayName registeredAt }
    wallet { balance { fen yuan text } }
    orders(first: $first) {
      edges {
        node {
          id state amount { fen yuan text } failureKind refundState createdAt
          card { id brand maskedNumber }
        }
      }
      pageInfo { hasNextPage }
    }
  }
}"""
RECHARGE_DOCUMENT = """
mutation Recharge($input: CreateRechargeInput!) {
  createRecharge(input: $input) {
    __typename
    ... on CreateRechargeSuccess {
      order {
        id state amount { fen yuan text } failureKind refundState payDeadlineAt createdAt
        card { id brand maskedNumber }
      }
    }
    ... on UserError { code message }
  }
}"""

Variables = Mapping[str, Any]


class AnswerWrong(Exception):
    """An answer is not what the operation must answer; a benchmark of wrong answers measures nothing."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`changing` names the fields that differ between two servers which both answer rightly."""

    name: str
    title: str
    document: str
    complaint: Callable[[Any, Variables], str | None]
    changing: frozenset[str] = frozenset()


def _station_complaint(data: Any, variables: Variables) -> str | None:
    station = data["station"]
    if station is None or station["id"] != variables["id"]:
        return "this is not the station that was asked for"
    if station["zone"] is None or len(station["prices"]) != PRICES:
        return f"expected a zone and {PRICES} prices"
    return None


def _nearest_complaint(data: Any, variables: Variables) -> str | None:
    edges = data["stations"]["edges"]
    if len(edges) != variables["first"]:
        return f"{len(edges)} stations instead of {variables['first']}"
    distances = [edge["distance"] for edge in edges]
    if distances != sorted(distances) or distances[-1] > variables["radius"]:
        return "the stations are not the nearest ones in order"
    if any(len(edge["node"]["prices"]) != PRICES for edge in edges):
        return f"expected {PRICES} prices of each station"
    return None


def _account_complaint(data: Any, variables: Variables) -> str | None:
    viewer = data["viewer"]
    if viewer is None:
        return "nobody is signed in"
    if viewer["wallet"]["balance"]["fen"] <= 0:
        return "the wallet is empty"
    edges = viewer["orders"]["edges"]
    if len(edges) != variables["first"] or any(not edge["node"]["card"]["maskedNumber"] for edge in edges):
        return f"expected {variables['first']} orders, each with its card"
    return None


def _recharge_complaint(data: Any, variables: Variables) -> str | None:
    payload = data["createRecharge"]
    if payload["__typename"] != "CreateRechargeSuccess":
        return f"refused with {payload.get('code')}: {payload.get('message')}"
    order = payload["order"]
    if order["state"] != "PENDING_PAYMENT" or order["amount"]["yuan"] != variables["input"]["amount"]:
        return "this is not the order that was asked for"
    return None


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("station", "station detail", STATION_DOCUMENT, _station_complaint),
        Operation("nearest", f"nearest {NEAREST}", NEAREST_DOCUMENT, _nearest_complaint),
        Operation("account", f"account, {ORDERS_SHOWN} orders", ACCOUNT_DOCUMENT, _account_complaint),
        Operation(
            "recharge",
            "create recharge",
            RECHARGE_DOCUMENT,
            _recharge_complaint,
            changing=frozenset(
                {"createRecharge.order.id", "createRecharge.order.payDeadlineAt", "createRecharge.order.createdAt"}
            ),
        ),
    )
}


def body_of(operation: Operation, variables: Variables) -> bytes:
    return orjson.dumps({"query": operation.document, "variables": dict(variables)})


def data_of(operation: Operation, variables: Variables, status: int, body: bytes) -> Any:
    """Return the answer's `data`. Raises AnswerWrong for everything that is not the full and right answer."""
    if status != 200:
        raise AnswerWrong(f"{operation.name}: HTTP {status}: {body[:500].decode(errors='replace')}")
    try:
        answer = orjson.loads(body)
        if "errors" in answer:
            raise AnswerWrong(f"{operation.name}: {answer['errors']}")
        complaint = operation.complaint(answer["data"], variables)
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerWrong(f"{operation.name}: unexpected shape ({error!r}): {body[:500].decode()}") from error
    if complaint:
        raise AnswerWrong(f"{operation.name}: {complaint}: {body[:500].decode()}")
    return answer["data"]
