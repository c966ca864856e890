"""Webhooks over GraphQL: who may have them, what is refused, and what their owner sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from domain.events.cursors import Cursor
from domain.identity.scopes import Scope
from domain.identity.staff import leave
from domain.identity.tokens import authority
from kernel.clock import utc_now
from kernel.states import SuspensionReason
from models.webhooks import Webhook, WebhookDelivery
from schema.extensions.trusted import SOURCES, hash_of
from schema.types.relay import global_id
from tests.factories import create_staff
from tests.schema.conftest import Client
from tests.schema.support import ask, refused
from tests.subscriptions.support import eventually
from tests.webhooks.receiver import Receiver, answering, receiving
from tests.webhooks.support import ARRIVALS, Arrivals, amounts

FIELDS = """id url document variables operationName eventType cursor state suspensionReason failingSince nextAttemptAt
  previousSecretUntil createdAt"""
REGISTER = f"""
mutation (
  $url: String!, $document: String, $documentId: String, $variables: JSONObject, $operation: String, $after: String
) {{
  answer: registerWebhook(
    input: {{
      url: $url, document: $document, documentId: $documentId, variables: $variables, operationName: $operation
      after: $after
    }}
  ) {{
    __typename
    ... on WebhookSecretSuccess {{ secret webhook {{ {FIELDS} }} }}
    ... on UserError {{ code message }}
    ... on InvalidWebhookUrl {{ urlReason: reason }}
    ... on InvalidWebhookDocument {{ documentReason: reason detail }}
    ... on LimitReached {{ maximum }}
  }}
}}"""


def on_webhook(name: str, success: str, *, more: str = "", declares: str = "") -> str:
    return f"""
mutation ($id: ID!{declares}) {{
  answer: {name}(input: {{ webhookId: $id{more} }}) {{
    __typename
    ... on {success}
    ... on UserError {{ code message }}
  }}
}}"""


UPDATE = on_webhook(
    "updateWebhook",
    f"WebhookSuccess {{ webhook {{ {FIELDS} }} }} ... on InvalidWebhookUrl {{ reason }}",
    more=", url: $url",
    declares=', $url: String! = "http://127.0.0.1:9/elsewhere"',
)
PAUSE = on_webhook("pauseWebhook", f"WebhookSuccess {{ webhook {{ {FIELDS} }} }}")
RESUME = on_webhook(
    "resumeWebhook", f"WebhookSuccess {{ webhook {{ {FIELDS} }} }}", more=", after: $after", declares=", $after: String"
)
ROTATE = on_webhook("rotateWebhookSecret", f"WebhookSecretSuccess {{ secret webhook {{ {FIELDS} }} }}")
DELETE = on_webhook("deleteWebhook", "DeleteWebhookSuccess { webhookId }")
TEST = on_webhook("sendTestWebhook", "SendTestWebhookSuccess { succeeded status error latencyMs }")
OPERATIONS = {"update": UPDATE, "pause": PAUSE, "resume": RESUME, "rotate": ROTATE, "delete": DELETE, "test": TEST}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
LIST = f"""
query ($first: Int! = 20, $after: String) {{
  webhooks(first: $first, after: $after) {{
    edges {{ node {{ {FIELDS}
      deliveries(first: 10) {{ edges {{ node {{ messageId cursor attempt succeeded status error latencyMs }} }} }}
    }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
NODE = "query ($id: ID!) { node(id: $id) { id ... on Webhook { deliveries { edges { node { id } } } } } }"


def with_scopes(client: Client, *scopes: str, **identity: Any) -> Client:
    assert client.viewer is not None
    viewer = replace(client.viewer, scopes=frozenset(scopes), **identity)
    token = authority(client.settings).issue(
        user_id=viewer.user_id, client_id=viewer.client_id, scopes=viewer.scopes, now=utc_now()
    )
    return Client(client.http, client.settings, viewer, {"Authorization": f"Bearer {token}"})


@pytest.fixture
def partner(client: Client) -> Client:
    return with_scopes(client, "recharge", Scope.WEBHOOKS)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as there:
        yield there


async def register(partner: Client, receiver: Receiver, **given: Any) -> Any:
    answer = await ask(partner, REGISTER, **{"url": receiver.url, "document": ARRIVALS, **given})
    assert answer["__typename"] == "WebhookSecretSuccess", answer
    return answer


async def rows() -> list[dict[str, Any]]:
    """Return all that only an owner changes."""
    delivering = {"lease_owner", "lease_until", "next_attempt_at"}
    return [
        {name: value for name, value in row.items() if name not in delivering}
        for row in await Webhook.all().order_by("id").values()
    ]


async def test_what_is_registered_is_delivered_and_seen(partner: Client, receiver: Receiver) -> None:
    assert partner.viewer is not None
    arrivals = await Arrivals.of(partner.viewer)
    made = await register(partner, receiver)
    webhook = made["webhook"]
    assert made["secret"].startswith("whsec_")
    assert (webhook["state"], webhook["eventType"], webhook["variables"]) == ("ACTIVE", "arrivals", {})
    receiver.script.append(answering(500))
    await arrivals.happen(2)
    await receiver.until(1)

    async def failing() -> Any:
        (edge,) = (await partner.ask(LIST))["webhooks"]["edges"]
        return edge["node"]["failingSince"] and edge["node"]

    await eventually(failing)
    seen = await failing()
    assert seen["nextAttemptAt"] > seen["failingSince"]
    assert seen["cursor"] == webhook["cursor"]
    (log,) = seen["deliveries"]["edges"]
    assert log["node"].pop("latencyMs") >= 0
    assert log["node"] == {
        "messageId": receiver.requests[0].id, "cursor": receiver.requests[0].message["cursor"], "attempt": 1,
        "succeeded": False, "status": 500, "error": "ANSWERED",
    }  # fmt: skip
    resumed = await ask(partner, RESUME, id=webhook["id"])
    assert resumed["webhook"]["failingSince"] is None
    await receiver.until(3)
    assert amounts([each.verified(made["secret"]) for each in receiver.taken()]) == [1, 2]
    assert made["secret"] not in str(await partner.ask(LIST))


async def test_the_life_of_a_webhook(partner: Client, receiver: Receiver) -> None:
    made = await register(partner, receiver, operation="Arrived", variables={})
    key = made["webhook"]["id"]
    assert made["webhook"]["operationName"] == "Arrived"
    assert (await ask(partner, PAUSE, id=key))["webhook"]["state"] == "PAUSED"
    tested = await ask(partner, TEST, id=key)
    assert (tested["succeeded"], tested["status"], tested["error"]) == (True, 204, None)
    message = receiver.requests[0].verified(made["secret"])
    assert (message["type"], message["data"]) == ("webhook.test", {})
    moved = await ask(partner, UPDATE, id=key, url=receiver.url + "&moved=1")
    assert moved["webhook"]["url"] == receiver.url + "&moved=1"
    assert moved["webhook"]["state"] == "PAUSED"
    rotated = await ask(partner, ROTATE, id=key)
    assert rotated["secret"] != made["secret"]
    assert rotated["webhook"]["previousSecretUntil"] > rotated["webhook"]["createdAt"]
    receiver.otherwise = answering(301)
    assert (await ask(partner, TEST, id=key))["error"] == "ANSWERED"
    assert receiver.requests[-1].verified(made["secret"]) == receiver.requests[-1].verified(rotated["secret"])
    assert (await ask(partner, RESUME, id=key))["webhook"]["state"] == "ACTIVE"
    assert (await partner.ask(NODE, {"id": key}))["node"]["id"] == key
    assert (await ask(partner, DELETE, id=key))["webhookId"] == key
    assert (await partner.ask(NODE, {"id": key}))["node"] is None
    assert await refused(partner, PAUSE, id=key) == ("NotFound", "NOT_FOUND")


@every_operation
async def test_somebody_elses_webhook_is_not_there(partner: Client, receiver: Receiver, operation: str) -> None:
    made = await register(partner, receiver)
    stranger = with_scopes(await partner.another_person(), Scope.WEBHOOKS)
    before = await rows()
    key = made["webhook"]["id"]
    assert await refused(stranger, operation, id=key) == ("NotFound", "NOT_FOUND")
    assert await refused(partner, operation, id=global_id("Webhook", uuid4())) == ("NotFound", "NOT_FOUND")
    assert await refused(partner, operation, id="nonsense") == ("NotFound", "NOT_FOUND")
    assert (await stranger.ask(NODE, {"id": key}))["node"] is None
    assert (await stranger.ask(LIST))["webhooks"]["edges"] == []
    assert await rows() == before
    assert receiver.requests == []
    assert not await WebhookDelivery.exists()


@every_operation
async def test_a_token_without_the_scope_does_nothing(
    client: Client, nobody: Client, partner: Client, receiver: Receiver, operation: str
) -> None:
    made = await register(partner, receiver)
    before = await rows()
    key = made["webhook"]["id"]
    # The same person, by a token that was not given for this.
    assert await refused(client, operation, id=key) == ("Forbidden", "FORBIDDEN")
    assert await nobody.code(operation, {"id": key}) == "UNAUTHENTICATED"
    assert await client.code(LIST) == "FORBIDDEN"
    assert await nobody.code(LIST) == "UNAUTHENTICATED"
    assert (await client.ask(NODE, {"id": key}))["node"] is None
    given = {"url": receiver.url, "document": ARRIVALS}
    assert await refused(client, REGISTER, **given) == ("Forbidden", "FORBIDDEN")
    assert await nobody.code(REGISTER, given) == "UNAUTHENTICATED"
    assert await rows() == before
    assert receiver.requests == []


DOCUMENTS = {
    "syntax": ("subscription {", None, "SYNTAX"),
    "empty": ("", None, "SYNTAX"),
    "missing": (None, None, "MISSING"),
    "too-many-aliases": (
        "subscription ($after: String) { arrivals(after: $after) { "
        + " ".join(f"a{number}: __typename" for number in range(51))
        + " } }",
        None,
        "TOO_COMPLEX",
    ),
    "too-deep": (
        "subscription ($after: String) { arrivals(after: $after) " + "{ ... " * 21 + "{ __typename" + " }" * 23,
        None,
        "TOO_COMPLEX",
    ),
    "unknown-field": ("subscription ($after: String) { nothing(after: $after) { __typename } }", None, "VALIDATION"),
    "query": ("query { viewer { profile { id } } }", None, "OPERATION"),
    "mutation": ('mutation { deleteWebhook(input: {webhookId: "x"}) { __typename } }', None, "OPERATION"),
    "two": (ARRIVALS + "query Other { __typename }", None, "OPERATION"),
    "fragment-only": ("fragment F on ArrivalEvent { cursor }", None, "OPERATION"),
    "two-fields": (
        "subscription ($after: String) { arrivals(after: $after) { __typename } other: arrivals { __typename } }",
        None,
        "VALIDATION",
    ),
    "fragment": (
        "subscription ($after: String) { ...F } fragment F on Subscription { arrivals(after: $after) { __typename } }",
        None,
        "ROOT_FIELD",
    ),
    "directive": (
        "subscription ($after: String) { arrivals(after: $after) @skip(if: true) { __typename } }",
        None,
        "VALIDATION",
    ),
    "without-after": ("subscription { arrivals { __typename } }", None, "AFTER_MISSING"),
    "literal-after": ('subscription { arrivals(after: "x") { __typename } }', None, "AFTER_MISSING"),
    "other-name": ("subscription ($from: String) { arrivals(after: $from) { __typename } }", None, "AFTER_MISSING"),
    "not-null": ("subscription ($after: String!) { arrivals(after: $after) { __typename } }", None, "AFTER_MISSING"),
    "after-given": (ARRIVALS, {"after": None}, "AFTER_GIVEN"),
    "variable-missing": (
        "subscription ($id: ID!, $after: String) { orderUpdated(id: $id, after: $after) { __typename } }",
        {},
        "VARIABLES",
    ),
    "variable-wrong": (
        "subscription ($id: ID!, $after: String) { orderUpdated(id: $id, after: $after) { __typename } }",
        {"id": {"a": 1}},
        "VARIABLES",
    ),
    "variables-large": (ARRIVALS, {"padding": "x" * 10_000}, "VARIABLES"),
    "long": (ARRIVALS + "#" * 10_000, None, "TOO_LONG"),
    "somebody-elses": (
        "subscription ($id: ID!, $after: String) { orderUpdated(id: $id, after: $after) { __typename } }",
        {"id": global_id("Order", uuid4())},
        "REFUSED",
    ),
}


@pytest.mark.parametrize(("document", "variables", "reason"), DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document_that_cannot_feed_a_webhook(
    partner: Client, receiver: Receiver, document: str | None, variables: Any, reason: str
) -> None:
    given = {"url": receiver.url, "document": document, "variables": variables}
    assert await refused(partner, REGISTER, **given) == ("InvalidWebhookDocument", "WEBHOOK_DOCUMENT_INVALID")
    answer = await ask(partner, REGISTER, **given)
    assert answer["documentReason"] == reason
    assert answer["detail"]
    assert await rows() == []


async def test_a_persisted_document_is_named_by_its_id(partner: Client, receiver: Receiver) -> None:
    """None of the first-party documents takes a cursor, so none of them can feed a webhook; but they are found."""
    known = hash_of((SOURCES / "demo_arrivals.graphql").read_text(encoding="utf-8"))
    for identifier, reason in (
        (known, "AFTER_MISSING"),
        (f"sha256:{known}", "AFTER_MISSING"),
        ("0" * 64, "NOT_PERSISTED"),
    ):
        answer = await ask(partner, REGISTER, url=receiver.url, documentId=identifier)
        assert (answer["code"], answer["documentReason"]) == ("WEBHOOK_DOCUMENT_INVALID", reason)
    answer = await ask(partner, REGISTER, url=receiver.url, documentId=known, document=ARRIVALS)
    assert answer["documentReason"] == "NOT_PERSISTED"
    assert await rows() == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://127.0.0.1/", "SCHEME"),
        ("http://10.0.0.1/", "ADDRESS"),
        ("http://user@127.0.0.1/", "CREDENTIALS"),
        ("http://2130706433/", "HOST"),
    ],
)
async def test_a_url_that_may_not_be_called(partner: Client, receiver: Receiver, url: str, reason: str) -> None:
    given = {"url": url, "document": ARRIVALS}
    assert await refused(partner, REGISTER, **given) == ("InvalidWebhookUrl", "WEBHOOK_URL_INVALID")
    assert (await ask(partner, REGISTER, **given))["urlReason"] == reason
    assert await rows() == []
    made = await register(partner, receiver)
    before = await rows()
    answer = await ask(partner, UPDATE, id=made["webhook"]["id"], url=url)
    assert (answer["code"], answer["reason"]) == ("WEBHOOK_URL_INVALID", reason)
    assert await rows() == before


@pytest.mark.parametrize(
    "cursor",
    ["nonsense", Cursor("0" * 12, "prices", 0).text, Cursor("0" * 12, f"arrivals:{uuid4()}", 0).text],
    ids=["nonsense", "prices", "somebody else's arrivals"],
)
async def test_a_cursor_of_something_else(partner: Client, receiver: Receiver, cursor: str) -> None:
    given = {"url": receiver.url, "document": ARRIVALS, "after": cursor}
    assert await refused(partner, REGISTER, **given) == ("CursorError", "CURSOR_INVALID")
    assert await rows() == []
    made = await register(partner, receiver)
    before = await rows()
    assert await refused(partner, RESUME, id=made["webhook"]["id"], after=cursor) == ("CursorError", "CURSOR_INVALID")
    assert await rows() == before


async def test_nobody_has_more_than_the_limit(partner: Client, receiver: Receiver) -> None:
    maximum = partner.settings.webhooks_per_user_max
    for _ in range(maximum):
        await register(partner, receiver)
    before = await rows()
    given = {"url": receiver.url, "document": ARRIVALS}
    assert await refused(partner, REGISTER, **given) == ("LimitReached", "TOO_MANY_WEBHOOKS")
    assert (await ask(partner, REGISTER, **given))["maximum"] == maximum
    assert await rows() == before
    page = (await partner.ask(LIST, {"first": maximum - 1}))["webhooks"]
    assert page["pageInfo"]["hasNextPage"]
    rest = (await partner.ask(LIST, {"after": page["pageInfo"]["endCursor"]}))["webhooks"]
    assert len(page["edges"]) + len(rest["edges"]) == maximum


async def test_a_member_of_staff_who_has_left_gets_nothing_more(partner: Client, receiver: Receiver) -> None:
    member = await create_staff()
    colleague = with_scopes(partner, "staff", Scope.WEBHOOKS, user_id=member.id, client_id="staff")
    made = await register(colleague, receiver)
    assert made["webhook"]["state"] == "ACTIVE"
    await leave(name=member.name, now=utc_now())
    assert (await ask(colleague, RESUME, id=made["webhook"]["id"]))["__typename"] == "WebhookSuccess"

    async def gone() -> bool:
        return (await Webhook.get(user_id=member.id)).suspension_reason is SuspensionReason.OWNER_GONE

    await eventually(gone)
