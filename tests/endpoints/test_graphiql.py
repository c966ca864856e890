"""GraphiQL's page: served whole from this server, under a strict policy, with operations that the schema accepts."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, parse, validate
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from endpoints import graphiql

ROOT = Path(__file__).parents[2]


class References(HTMLParser):
    """What a page loads, and the nonces of what it runs inline."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.nonces: list[str] = []
        self.unguarded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.urls += [value for name in ("src", "href") if (value := attributes.get(name))]
        self.unguarded += [name for name in attributes if name == "style" or name.startswith("on")]
        if tag in {"script", "style"} and "src" not in attributes and attributes.get("type") is None:
            self.nonces.append(attributes.get("nonce") or "")


@pytest.fixture
def client() -> httpx.AsyncClient:
    async def show(_request: Request) -> Response:
        return graphiql.page()

    server = Starlette(routes=[Route("/graphql", show), *graphiql.routes()])
    return httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://youka.test")


async def test_everything_the_page_loads_is_served_here(client: httpx.AsyncClient) -> None:
    page = await client.get("/graphql")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    found = References()
    found.feed(page.text)
    assets = [url for url in found.urls if not url.startswith("data:")]
    assert len(assets) == 5
    assert all(url.startswith("/graphiql-assets/") for url in assets)
    assert "//" not in re.sub(r"(?m)^\s*//.*$", "", page.text), "the page names another host"
    for url in assets:
        asset = await client.get(url)
        assert asset.status_code == 200, url
        kind = "text/css" if url.endswith(".css") else "text/javascript"
        assert asset.headers["content-type"].startswith(kind)
        assert len(asset.content) > 10_000


async def test_the_bare_address_leads_to_the_page(client: httpx.AsyncClient) -> None:
    page = await client.get("/", follow_redirects=True)
    assert page.url.path == "/graphql"
    assert page.status_code == 200


async def test_the_policy_allows_this_host_only(client: httpx.AsyncClient) -> None:
    page = await client.get("/graphql")
    directives = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    assert "unsafe" not in page.headers["content-security-policy"]
    allowed = {source for sources in directives.values() for source in sources.split()}
    nonce = next(source for source in allowed if source.startswith("'nonce-"))
    assert allowed == {"'self'", "'none'", "data:", nonce}
    found = References()
    found.feed(page.text)
    assert {f"'nonce-{each}'" for each in found.nonces} == {nonce}
    assert len(found.nonces) == 3
    assert found.unguarded == []


async def test_each_page_has_a_nonce_and_a_key_of_its_own(client: httpx.AsyncClient) -> None:
    first, second = [await client.get("/graphql") for _ in range(2)]
    assert first.headers["content-security-policy"] != second.headers["content-security-policy"]
    assert _settings(first.text)["tabs"][1]["variables"] != _settings(second.text)["tabs"][1]["variables"]


async def test_a_query_a_mutation_and_a_subscription_are_prefilled(client: httpx.AsyncClient) -> None:
    settings = _settings((await client.get("/graphql")).text)
    assert settings["endpoint"] == "/graphql"
    kinds = [_operations(tab["query"])[0].operation.value for tab in settings["tabs"]]
    assert kinds == ["query", "mutation", "subscription"]
    for tab in settings["tabs"]:
        assert json.loads(tab["headers"]) == {"Authorization": settings["authorizationHint"]}


@pytest.mark.parametrize("tab", graphiql.TABS, ids=["query", "mutation", "subscription"])
def test_the_schema_accepts_what_is_prefilled(tab: graphiql.Tab) -> None:
    document = parse(tab.query)
    assert validate(_schema(), document) == []
    declared = {
        variable.variable.name.value
        for operation in _operations(tab.query)
        for variable in operation.variable_definitions or ()
    }
    assert declared == set(tab.variables)


def test_text_cannot_end_the_element_it_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = graphiql.Tab("# </script><script>alert(1)</script>\n{ __typename }")
    monkeypatch.setattr(graphiql, "TABS", (hostile,))
    body = bytes(graphiql.page().body).decode()
    assert "<script>alert" not in body
    assert _settings(body)["tabs"][0]["query"] == hostile.query


def test_the_vendored_files_are_the_ones_the_readme_lists() -> None:
    folder = graphiql.ASSETS_FOLDER
    listed = dict(
        re.findall(r"^\| `([^`]+)` .* `([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.MULTILINE)
    )
    sums = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.suffix in {".js", ".css"}
    }
    assert sums == listed
    assert all(
        (folder / name).stat().st_size > 500 for name in ("LICENSE.graphiql", "LICENSE.react", "LICENSE.graphql-ws")
    )


def _settings(html: str) -> dict[str, Any]:
    embedded = re.search(r'<script type="application/json" id="page">(.*?)</script>', html, re.DOTALL)
    assert embedded
    settings: dict[str, Any] = json.loads(embedded[1])
    return settings


def _operations(query: str) -> list[OperationDefinitionNode]:
    return [node for node in parse(query).definitions if isinstance(node, OperationDefinitionNode)]


def _schema() -> GraphQLSchema:
    return build_schema((ROOT / "schema" / "schema.graphql").read_text(encoding="utf-8"))
