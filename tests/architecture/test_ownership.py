"""Whose rows a query reads: each names the viewer and uses them, or is listed here with the reason why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[2]
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

# A member of staff was let in by their row, so naming them is naming who asks. `viewers` are those of several requests
# whose questions share a statement.
WHO_ASKS = ("viewer", "viewers", "staff")

# Everybody may see these.
PUBLIC = {
    "offers": {"any_offer", "by_id", "by_ids", "open_now"},
    "pricing": {
        "any_zone", "current", "histories", "listed", "next_change", "priced_zones", "prices_by_ids", "zone_map",
        "zones_by_ids",
    },
    "stations": {
        "any_station", "by_id", "by_ids", "cheapest", "count_of", "listed", "nearest", "zones_of",
    },
    "switches": {"last_changes", "state"},
}  # fmt: skip
# These follow relations of rows that were authorised themselves, and only loaders call them for a client.
RELATIONS = {
    "cards": {"by_ids"},
    "funds": {"payees_by_ids", "stories"},
    "ledger": {"wallets"},
    "mandates": {"cards_of"},
    "orders": {"by_ids", "stories"},
    "reconciliation": {"stories"},
}
# Books of the house are nobody's own; their fields require a role.
BOOKS = {
    "funds": {
        "position", "some_claims", "some_payees", "some_policies", "some_settlements", "some_sweeps", "some_transfers",
    },
    "reconciliation": {"difference", "latest_runs", "run", "some_differences", "suspense_ageing"},
}  # fmt: skip
# Positions and events of a stream, for whoever has asked first whether the viewer may follow it.
STREAMS = {"events": {"after", "head", "heads", "standing_of"}}
# For jobs, audits and the domain itself, which have locked or authorised what they ask about. No client comes here.
HOUSE = {
    "actions": {"about", "broken_links", "last"},
    "events": {"times", "unpublished"},
    "finance": {"current_generation", "lag", "open_generations"},
    "funds": {"escrow", "forecast_fen"},
    "ledger": {"balance", "balances", "wallet_balances", "wallet_held"},
    "mandates": {"active_of", "terms_of", "under_way", "used"},
    "orders": {"by_id", "story"},
    "payments": {"by_out_trade_no", "open_attempt_of", "refund_by_id", "refund_by_number", "taken_attempt_of"},
    "usage": {"deprecated_uses"},
    "webhooks": {"owner_is_there", "owner_of"},
    "work": {"all_parked", "has_begun", "parked", "status", "suspect_waits"},
}
EXEMPT = (PUBLIC, RELATIONS, BOOKS, STREAMS, HOUSE)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[Function]:
    """Yield the public functions of a module."""
    for node in parse(path).body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def names_who_asks(function: Function) -> bool:
    """Whether the viewer is an argument, and something is made of it."""
    given = {each.arg for each in (*function.args.args, *function.args.kwonlyargs)} & set(WHO_ASKS)
    used = {node.id for line in function.body for node in ast.walk(line) if isinstance(node, ast.Name)}
    return bool(given) and given <= used


def queries_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the room and the name of each query that a module calls or hands on."""
    tree, rooms = parse(path), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("domain."):
            room = node.module.split(".")[1]
            for each in node.names:
                if each.name == "queries":
                    rooms[each.asname or each.name] = room
                elif node.module.endswith(".queries") and each.name.islower():
                    yield room, each.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rooms:
            yield rooms[node.value.id], node.attr


QUERIES = {
    (path.parent.name, function.name): function
    for path in (ROOT / "domain").glob("*/queries.py")
    for function in functions(path)
}
LISTED = [(room, name) for table in EXEMPT for room, names in table.items() for name in names]
CLIENT_MODULES = [
    path
    for room in ("resolvers", "subscriptions/streams", "schema/types")
    for path in sorted((ROOT / room).glob("*.py"))
]


def test_every_query_names_the_viewer_or_says_why_not() -> None:
    silent = {key for key, function in QUERIES.items() if not names_who_asks(function)}
    assert silent == set(LISTED)
    assert len(LISTED) == len(set(LISTED))
    assert len(QUERIES) - len(LISTED) >= 12


def test_every_operation_that_is_given_a_viewer_uses_them() -> None:
    """What is loaded by an id and for a viewer is theirs, or the argument would be there for show."""
    for path in (ROOT / "domain").rglob("*.py"):
        for node in ast.walk(parse(path)):
            if not isinstance(node, Function) or _is_protocol(node):
                continue
            if "viewer" in {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}:
                used = {each.id for line in node.body for each in ast.walk(line) if isinstance(each, ast.Name)}
                assert "viewer" in used, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


@pytest.mark.parametrize("path", CLIENT_MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_not_for_clients_is_not_called_for_them(path: Path) -> None:
    for room, name in queries_of(path):
        if (room, name) not in QUERIES or names_who_asks(QUERIES[room, name]):
            continue
        reachable = [PUBLIC, BOOKS, *([STREAMS] if path.parent.name == "streams" else [])]
        if path.name == "loaders.py":
            reachable.append(RELATIONS)
        assert any(name in table.get(room, ()) for table in reachable), f"{room}.{name}"


def test_no_resolver_reads_rows_by_itself() -> None:
    """Tables are read by the domain, whose queries are watched here; a resolver knows rows and no managers."""
    asking = {"all", "filter", "get", "get_or_none", "first", "raw", "execute_query"}
    for path in CLIENT_MODULES:
        tree = parse(path)
        tables = {
            each.asname or each.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("models.")
            for each in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in tables:
                assert node.attr not in asking, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_the_check_finds_what_it_is_for() -> None:
    """A query that takes the viewer for show, and one that does not take them at all."""
    source = "async def owned(*, viewer, key): return await Row.get(id=key)\nasync def any(*, key): return key"
    for node in ast.parse(source).body:
        assert isinstance(node, Function)
        assert not names_who_asks(node)
    (good,) = ast.parse("async def owned(*, viewer, key): return await Row.get(id=key, user=viewer.user_id)").body
    assert isinstance(good, Function)
    assert names_who_asks(good)


def _is_protocol(function: Function) -> bool:
    """Whether there is a signature and nothing behind it, as in a port."""
    return all(isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in function.body)
