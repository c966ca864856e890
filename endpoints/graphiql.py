"""GraphiQL, the page on which a developer tries the schema. Everything it loads comes from this server."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any

from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

HERE = Path(__file__).parent
ASSETS_FOLDER = HERE / "vendor" / "graphiql"
DOCUMENTS_FOLDER = HERE.parent / "clients" / "documents"
ASSETS_PATH = "/graphiql-assets"
AUTHORIZATION_HINT = "Bearer PASTE-WHAT-make-token-PRINTS"
DEMO_CARD = "1000111100000000001"


@dataclass(frozen=True, slots=True)
class Tab:
    """An operation that is there when the page is opened for the first time."""

    query: str
    variables: dict[str, Any] = field(default_factory=dict)


def _document(name: str) -> str:
    """Return a document as the clients have it; a server may know trusted documents only."""
    return (DOCUMENTS_FOLDER / f"graphiql_{name}.graphql").read_text(encoding="utf-8")


NEAREST_STATIONS = Tab(_document("nearest_stations"))
RECHARGE = Tab(_document("recharge"), {"number": DEMO_CARD, "card": "", "order": "", "key": ""})
ARRIVALS = Tab(_document("arrivals"))
TABS = (NEAREST_STATIONS, RECHARGE, ARRIVALS)


def routes() -> list[BaseRoute]:
    """Return the routes of the page's own assets, and the way to the page from the server's bare address."""
    return [
        Route("/", RedirectResponse("/graphql")),
        Mount(ASSETS_PATH, StaticFiles(directory=ASSETS_FOLDER), name="graphiql-assets"),
    ]


def page(*, endpoint: str = "/graphql") -> HTMLResponse:
    """Return the page that talks to the GraphQL endpoint at a path of this server, over HTTP and WebSocket."""
    nonce = secrets.token_urlsafe(16)
    html = _template().substitute(assets=ASSETS_PATH, nonce=nonce, page=_embedded(_settings(endpoint)))
    return HTMLResponse(
        html,
        headers={
            "Content-Security-Policy": "; ".join(
                (
                    "default-src 'none'",
                    f"script-src 'self' 'nonce-{nonce}'",
                    f"style-src 'self' 'nonce-{nonce}'",
                    "font-src data:",
                    "img-src 'self' data:",
                    "connect-src 'self'",
                    "base-uri 'none'",
                    "form-action 'none'",
                    "frame-ancestors 'none'",
                )
            ),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _settings(endpoint: str) -> dict[str, Any]:
    headers = json.dumps({"Authorization": AUTHORIZATION_HINT}, indent=2)
    fresh = {"key": f"graphiql-{secrets.token_hex(8)}"}
    return {
        "endpoint": endpoint,
        "authorizationHint": AUTHORIZATION_HINT,
        "headers": headers,
        "tabs": [
            {
                "query": tab.query,
                "variables": json.dumps(tab.variables | (fresh if "key" in tab.variables else {}), indent=2),
                "headers": headers,
            }
            for tab in TABS
        ],
    }


def _embedded(value: dict[str, Any]) -> str:
    """Write JSON that cannot end the script element it stands in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


@lru_cache(maxsize=1)
def _template() -> Template:
    return Template((HERE / "graphiql.html").read_text(encoding="utf-8"))
