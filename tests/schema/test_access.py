"""What the schema says of who may do what: nothing is left open, and what it says is what is documented."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.access.rules import POSSIBLE_SCOPES
from domain.funds.lifecycle import EITHER
from domain.identity.scopes import DESCRIPTIONS, Scope
from domain.identity.tokens import authority
from kernel.clock import utc_now
from kernel.states import StaffRole
from resolvers import cases
from resolvers.nodes import FINDERS
from schema.extensions.access import undecided
from schema.root import build
from schema.types.delivery import DeliveryAudience, rule_of
from schema.types.requirements import PUBLIC, RequiresRole, RequiresScopes, requirements_of
from tests.schema.conftest import Client
from tests.schema.support import BIND, ask, bind_card, trace
from tests.schema.test_staff import DECISIONS, staff_client

SCHEMA = build().core
ROOTS = {
    f"{parent.name}.{name}": field
    for parent in (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type)
    if parent
    for name, field in parent.fields.items()
}
DOCS = Path(__file__).parents[2] / "docs" / "access.md"
VIEWER = "{ viewer { profile { displayName } } }"
# Where each type of node is shown first.
FIRST_FIELDS = {
    "Card": "Viewer.cards",
    "Case": "Query.cases",
    "Difference": "Query.reconciliationDifferences",
    "Invitation": "Query.organisation",
    "LedgerError": "Query.ledgerErrors",
    "Mandate": "Viewer.mandates",
    "Order": "Query.order",
    "OrderReview": "Query.reviews",
    "Organisation": "Query.organisation",
    "OrganisationLogItem": "Query.organisation",
    "OrganisationMember": "Query.organisation",
    "Profile": "Viewer.profile",
    "ReconciliationRun": "Query.reconciliationRuns",
    "Session": "Viewer.sessions",
    "SignIn": "Viewer.signIns",
    "StaffAction": "Query.staffActions",
    "SuspenseEntry": "Query.suspenseEntries",
    "TopUp": "Viewer.wallet",
    "Webhook": "Query.webhooks",
    "WebhookDelivery": "Query.webhooks",
}


def with_scopes(client: Client, *scopes: str) -> Client:
    assert client.viewer is not None
    token = authority(client.settings).issue(
        user_id=client.viewer.user_id, client_id="tests", scopes=frozenset(scopes), now=utc_now()
    )
    return replace(client, headers={"Authorization": f"Bearer {token}"})


class TestSchema:
    def test_every_root_field_says_who_may_have_it(self) -> None:
        assert undecided(SCHEMA) == []
        assert len(ROOTS) > 40

    def test_a_field_that_says_nothing_is_found(self) -> None:
        forgetful = build().core
        assert forgetful.query_type is not None
        definition: Any = forgetful.query_type.fields["order"].extensions["strawberry-definition"]
        kept, definition.directives = definition.directives, []
        try:
            assert undecided(forgetful) == ["Query.order"]
            definition.directives = [*kept, PUBLIC]
            assert undecided(forgetful) == ["Query.order"]
        finally:
            definition.directives = kept

    def test_scopes_and_roles_are_known_and_none_is_empty(self) -> None:
        for parent in SCHEMA.type_map.values():
            for field in getattr(parent, "fields", {}).values():
                for requirement in requirements_of(field) if hasattr(field, "args") else ():
                    if isinstance(requirement, RequiresScopes):
                        assert requirement.scopes
                        assert all(each and set(each) <= set(Scope) for each in requirement.scopes)
                    if isinstance(requirement, RequiresRole):
                        assert requirement.roles

    def test_every_field_of_the_viewer_requires_a_scope(self) -> None:
        for name, field in SCHEMA.type_map["Viewer"].fields.items():  # type: ignore[attr-defined]
            (requirement,) = requirements_of(field)
            assert isinstance(requirement, RequiresScopes), name

    def test_a_stream_for_everybody_is_public(self) -> None:
        """It is executed once for all of them, without a viewer."""
        assert SCHEMA.subscription_type is not None
        for name, field in SCHEMA.subscription_type.fields.items():
            rule = rule_of(SCHEMA, name)
            is_for_everybody = rule is not None and rule.audience is DeliveryAudience.EVERYONE
            assert is_for_everybody == (requirements_of(field) == [PUBLIC]), name

    def test_a_node_requires_what_the_field_that_shows_it_first_does(self) -> None:
        for name, finder in FINDERS.items():
            if name not in FIRST_FIELDS:
                assert finder.requirement is None, name
                continue
            parent, field = FIRST_FIELDS[name].split(".")
            kind: Any = SCHEMA.type_map[parent]
            assert requirements_of(kind.fields[field]) == [finder.requirement], name

    def test_decisions_about_money_name_the_roles_that_their_resolvers_check_again(self) -> None:
        for name in DECISIONS:
            (requirement,) = requirements_of(ROOTS[f"Mutation.{name}"])
            assert isinstance(requirement, RequiresRole)
            assert frozenset(requirement.roles) == (cases.REVIEWERS if name == "reviewOrder" else cases.DECIDERS)
        for name in ("proposeDifferenceResolution", "approveDifferenceResolution"):
            (requirement,) = requirements_of(ROOTS[f"Mutation.{name}"])
            assert isinstance(requirement, RequiresRole)
            assert frozenset(requirement.roles) == EITHER


class TestScopes:
    def test_they_are_those_that_clients_can_have(self) -> None:
        assert frozenset().union(*POSSIBLE_SCOPES.values()) == frozenset(Scope) == frozenset(DESCRIPTIONS)

    def test_they_are_documented(self) -> None:
        rows = dict(re.findall(r"(?m)^\| `([a-z:]+)` \| (.+) \|$", DOCS.read_text(encoding="utf-8")))
        assert rows == {scope.value: description for scope, description in DESCRIPTIONS.items()}


class TestAnswers:
    async def test_a_scope_that_is_missing_is_named(self, client: Client) -> None:
        (error,) = (await with_scopes(client, "cards").post(VIEWER)).json()["errors"]
        assert error["extensions"] == {"code": "FORBIDDEN", "scope": "profile"}
        assert error["path"] == ["viewer", "profile"]
        assert (await with_scopes(client, "profile").ask(VIEWER))["viewer"]["profile"]["displayName"]

    async def test_a_card_is_bound_by_a_token_for_cards_only(self, client: Client) -> None:
        before = await trace()
        limited = with_scopes(client, *set(Scope) - {Scope.CARDS})
        assert await limited.code(BIND, {"number": "1000111100000000001"}) == "FORBIDDEN"
        assert await trace() == before
        assert await bind_card(with_scopes(client, Scope.CARDS))

    async def test_a_cars_token_signs_nobody_out(self, client: Client) -> None:
        car = with_scopes(client, Scope.RECHARGE_VOICE)
        query = "mutation { answer: endAllSessions(input: { keepCurrent: false }) { __typename } }"
        assert await car.code(query) == "FORBIDDEN"
        assert (await ask(client, query))["__typename"] == "EndAllSessionsSuccess"

    @pytest.mark.parametrize("decision", list(DECISIONS))
    async def test_money_does_not_hang_on_the_directive_alone(
        self, client: Client, decision: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever takes the directive away meets the resolver's own check."""
        (requirement,) = requirements_of(ROOTS[f"Mutation.{decision}"])
        monkeypatch.setattr(requirement, "roles", list(StaffRole))
        role = StaffRole.RISK if decision == "reviewOrder" else StaffRole.FINANCE
        colleague = await staff_client(client, *set(StaffRole) - {role})
        answer = await ask(colleague, DECISIONS[decision], id="nothing")
        assert (answer["__typename"], answer["code"]) == ("Forbidden", "FORBIDDEN")

    async def test_staff_who_may_turn_switches_are_those_of_operations(self, client: Client) -> None:
        turn = """
        mutation { answer: turnSwitch(input: { switch: HIDE_MARKETING, on: true, reason: "ok" }) {
          __typename ... on UserError { code } } }"""
        others = await staff_client(client, *set(StaffRole) - {StaffRole.OPERATIONS})
        assert await ask(others, turn) == {"__typename": "Forbidden", "code": "FORBIDDEN"}
        assert (await ask(await staff_client(client, StaffRole.OPERATIONS), turn))["__typename"] == "TurnSwitchSuccess"
