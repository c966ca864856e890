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
ASSETS_PATH = "/graphiql-assets"
AUTHORIZATION_HINT = "Bearer PASTE-WHAT-make-token-PRINTS"
DEMO_CARD = "1000111100000000001"


@dataclass(frozen=True, slots=True)
class Tab:
    """An operation that is there when the page is opened for the first time."""

    query: str
    variables: dict[str, Any] = field(default_factory=dict)


NEAREST_STATIONS = Tab(
    """\
# The three stations nearest to People's Square in
# Shanghai, with today's prices. It needs no token.
query NearestStations {
  stations(
    near: {latitude: 31.2304, longitude: 121.4737}
    radius: 5000
    product: GASOLINE_92
    first: 3
  ) {
    edges {
      distance
      station: node {
        id
        name
        address
        prices {
          product
          unitPrice { yuan text }
          effectiveFrom
        }
      }
    }
  }
}
""",
)

RECHARGE = Tab(
    """\
# `make token` prints a token for the Headers below.
# Run the operations in their order:
#   BindCard: copy the card's id into the Variables.
#   CreateRecharge: copy the order's id there too.
#   PayRecharge: then pay on the page of the sandbox.
# The same key returns the same order again, never
# a second one.
mutation BindCard($number: String!) {
  bindCard(input: {number: $number}) {
    __typename
    ... on BindCardSuccess {
      card { id maskedNumber }
    }
    ... on UserError {
      code
      message
    }
  }
}

mutation CreateRecharge($card: ID!, $key: String!) {
  createRecharge(
    input: {
      cardId: $card
      amount: "500.00"
      idempotencyKey: $key
    }
  ) {
    __typename
    ... on CreateRechargeSuccess {
      order { id state amount { text } }
    }
    ... on UserError {
      code
      message
    }
  }
}

mutation PayRecharge($order: ID!, $key: String!) {
  payRecharge(
    input: {orderId: $order, idempotencyKey: $key}
  ) {
    __typename
    ... on PayRechargeSuccess {
      order { id state }
    }
    ... on UserError {
      code
      message
    }
  }
}
""",
    {"number": DEMO_CARD, "card": "", "order": "", "key": ""},
)

ARRIVALS = Tab(
    """\
# Each recharge of the token's user, told when its
# money has arrived. Run it, then pay for an order
# of the tab before, or say `make demo`.
subscription Arrivals {
  arrivals {
    ... on StreamEvent { cursor }
    ... on ArrivalEvent {
      notice {
        order { id }
        amount { text }
        arrivedAt
      }
    }
    ... on ArrivalGap {
      reason
      arrivals { order { id } }
    }
  }
}
""",
)

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
