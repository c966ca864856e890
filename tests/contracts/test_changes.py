"""What breaks the users of a schema is found, and named by its coordinate, by editing SDLs as somebody would."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from schema.contracts import __main__ as command
from schema.contracts.changes import Change, changes, undated
from schema.contracts.released import released_path
from schema.sdl import PATH
from schema.types.deprecating import dates_of, deprecation

TODAY = date(2026, 11, 29)
LATER = date(2027, 5, 1)
RELEASED = """
directive @public on FIELD_DEFINITION
directive @authenticated on FIELD_DEFINITION
directive @requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION
directive @requiresRole(roles: [Role!]!) on FIELD_DEFINITION
directive @delivery(policy: String!) on FIELD_DEFINITION
directive @short(words: Int) on FIELD
directive @cost(weight: String!) on FIELD_DEFINITION
enum Role { BOSS CLERK }
enum Colour { RED BLUE }
interface Node { id: ID! }
type Thing implements Node { id: ID! name: String! colour(shade: Int! = 3): Colour! }
type Other { id: ID! }
type Orphan { id: ID! }
union Either = Thing | Other
input Filter { name: String size: Int! = 1 }
input Choice { a: Int b: Int }
input One @oneOf { a: Int b: Int }
scalar Yuan
type Query {
  things(filter: Filter, first: Int! = 20, choice: Choice, one: One): [Thing!] @public
  either(price: Yuan): Either @authenticated
  mine: Thing @requiresScopes(scopes: [["a"], ["b"]])
  bosses: Thing @requiresRole(roles: [BOSS, CLERK])
}
type Subscription { changes: Thing @public @delivery(policy: "LOSSLESS") @cost(weight: "1") }
"""


def edited(*edits: tuple[str, str], text: str = RELEASED) -> str:
    for before, after in edits:
        assert text.count(before) == 1, (before, text.count(before))
        text = text.replace(before, after)
    return text


def found(*edits: tuple[str, str], today: date = TODAY) -> list[Change]:
    return changes(RELEASED, edited(*edits), today=today)


@pytest.mark.parametrize(
    ("before", "after", "coordinate"),
    [
        (" name: String! colour", " colour", "Thing.name"),
        ("name: String! colour", "name: String colour", "Thing.name"),
        ("enum Colour { RED BLUE }", "enum Colour { RED }", "Colour.BLUE"),
        ("union Either = Thing | Other", "union Either = Thing", "Either"),
        ("type Thing implements Node {", "type Thing {", "Thing"),
        ("type Orphan { id: ID! }", "", "Orphan"),
        ("input Filter { name: String size", "input Filter { size", "Filter.name"),
        ("name: String size: Int! = 1 }", "name: String size: Int! = 1 kind: Int! }", "Filter.kind"),
        ("size: Int! = 1 }", "size: Int! }", "Filter.size"),
        ("shade: Int! = 3", "shade: Int!", "Thing.colour(shade:)"),
        ("first: Int! = 20", "first: String! = 20", "Query.things(first:)"),
        ("filter: Filter,", "filter: Filter!,", "Query.things(filter:)"),
        ("filter: Filter, ", "", "Query.things(filter:)"),
        ("either(price: Yuan)", "either(price: Yuan, when: Int!)", "Query.either(when:)"),
        ("input Choice {", "input Choice @oneOf {", "Choice"),
        ("scalar Yuan", "enum Yuan { A }", "Yuan"),
        ("@short(words: Int)", "@short(words: Int, more: Int!)", "@short(more:)"),
        ("Either @authenticated", 'Either @requiresScopes(scopes: [["a"]])', "Query.either"),
        ("[Thing!] @public", "[Thing!] @authenticated", "Query.things"),
        ('scopes: [["a"], ["b"]]', 'scopes: [["a"]]', "Query.mine"),
        ('scopes: [["a"], ["b"]]', 'scopes: [["a", "c"], ["b"]]', "Query.mine"),
        ("roles: [BOSS, CLERK]", "roles: [BOSS]", "Query.bosses"),
        ('policy: "LOSSLESS"', 'policy: "LATEST"', "Subscription.changes"),
    ],
)
def test_what_breaks_is_named(before: str, after: str, coordinate: str) -> None:
    (change, *_others) = found((before, after))
    assert change.breaking
    assert change.coordinate == coordinate
    assert coordinate.split("(", maxsplit=1)[0].strip("@").split(".")[-1] in change.reason


@pytest.mark.parametrize(
    ("before", "after", "coordinate"),
    [
        ("enum Colour { RED BLUE }", "enum Colour { RED BLUE GREEN }", "Colour.GREEN"),
        ("union Either = Thing | Other", "union Either = Thing | Other | Orphan", "Either"),
        ("input Filter { name: String", "input Filter { name: String kind: Int", "Filter.kind"),
        ("first: Int! = 20", "first: Int! = 10", "Query.things(first:)"),
        ("input One @oneOf {", "input One {", "One"),
        ('weight: "1"', 'weight: "5"', "Subscription.changes"),
    ],
)
def test_what_may_break_is_a_warning(before: str, after: str, coordinate: str) -> None:
    (change,) = found((before, after))
    assert not change.breaking
    assert change.coordinate == coordinate


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("type Other { id: ID! }", "type Other { id: ID! more: Int }"),
        ("enum Role {", '"Who somebody is."\nenum Role {'),
        ("[Thing!] @public", "[Thing!]! @public"),
        ("filter: Filter,", "filter: Filter = {},"),
        ("Either @authenticated", "Either @public"),
        ('scopes: [["a"], ["b"]]', 'scopes: [["a"], ["b"], ["c"]]'),
        ("roles: [BOSS, CLERK]", "roles: [CLERK, BOSS]"),
        ("mine: Thing @requiresScopes", "more: Int @public mine: Thing @requiresScopes"),
    ],
)
def test_what_is_new_or_looser_is_nothing_to_say(before: str, after: str) -> None:
    assert found((before, after)) == []


def test_a_token_that_had_the_field_still_has_it_by_another_scope() -> None:
    assert found(("Thing @requiresRole(roles: [BOSS, CLERK])", 'Thing @requiresScopes(scopes: [["staff"]])')) == []


class TestAnnounced:
    REASON = deprecation("Use `id`.", since=TODAY, removal=LATER)
    FIELD = ("name: String! colour", f'name: String! @deprecated(reason: "{REASON}") colour')

    def before(self, *edits: tuple[str, str]) -> str:
        return edited(self.FIELD, *edits)

    def test_the_dates_are_read_again(self) -> None:
        assert self.REASON == "Use `id`. Deprecated since 2026-11-29; it stays until 2027-05-01."
        assert dates_of(self.REASON) == (TODAY, LATER)
        for other in ("", "Use `id`.", "Deprecated since 2026-13-45; it stays until 2027-05-01."):
            assert dates_of(other) is None

    def test_a_short_notice_is_none(self) -> None:
        with pytest.raises(ValueError, match="90 days"):
            deprecation("Use `id`.", since=TODAY, removal=date(2027, 1, 1))

    def test_deprecating_is_no_change(self) -> None:
        assert changes(RELEASED, self.before(), today=TODAY) == []

    def test_it_stays_until_its_day(self) -> None:
        now = edited(("name: String! colour", "colour"))
        (early,) = changes(self.before(), now, today=date(2027, 4, 30))
        assert early.coordinate == "Thing.name"
        assert early.breaking
        assert "until 2027-05-01" in early.reason
        assert changes(self.before(), now, today=LATER) == []

    def test_what_only_it_led_to_goes_with_it(self) -> None:
        way = f' old: Orphan @deprecated(reason: "{self.REASON}")'
        before = edited(("type Other { id: ID!", "type Other { id: ID!" + way))
        now = edited(("type Orphan { id: ID! }", ""))
        assert [each.coordinate for each in changes(before, now, today=TODAY)] == ["Orphan", "Other.old"]
        assert changes(before, now, today=LATER) == []
        # What is deprecated does not have to go, and then nothing else does.
        kept = edited(("type Other { id: ID!", "type Other { id: ID! old: Int"), text=now)
        assert [each.coordinate for each in changes(before, kept, today=LATER)] == ["Orphan", "Other.old"]

    @pytest.mark.parametrize(
        ("place", "marked"),
        [
            ("RED BLUE", "RED BLUE {}"),
            ("input Filter { name: String", "input Filter {{ name: String {}"),
            ("things(filter: Filter", "things(filter: Filter {}"),
        ],
    )
    def test_values_and_arguments_are_announced_alike(self, place: str, marked: str) -> None:
        before = edited((place, marked.format(f'@deprecated(reason: "{self.REASON}")')))
        gone = {"RED BLUE": "RED", "input Filter { name: String": "input Filter {", "things(filter: Filter": "things("}
        now = edited((place, gone[place]))
        (change,) = changes(before, now, today=TODAY)
        assert "announced" in change.reason
        assert changes(before, now, today=LATER) == []

    def test_a_promise_is_not_shortened(self) -> None:
        sooner = deprecation("Use `id`.", since=TODAY, removal=date(2027, 4, 1))
        (change,) = changes(self.before(), self.before().replace(self.REASON, sooner), today=TODAY)
        assert change.breaking
        assert change.coordinate == "Thing.name"
        assert changes(self.before().replace(self.REASON, sooner), self.before(), today=TODAY) == []

    def test_a_deprecation_without_a_date_is_refused(self) -> None:
        text = edited(("name: String! colour", 'name: String! @deprecated(reason: "Old.") colour'))
        (change,) = undated(text)
        assert change.breaking
        assert change.coordinate == "Thing.name"
        assert undated(self.before()) == []
        assert undated(edited(("name: String! colour", "name: String! @deprecated colour"))) != []


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Callable[..., int]:
        def run(text: str, *arguments: str, today: date = TODAY) -> int:
            sdl = tmp_path / "current.graphql"
            sdl.write_text(text, encoding="utf-8")
            return command.main(["--folder", str(tmp_path / "released"), "--sdl", str(sdl), *arguments], today=today)

        return run

    def test_a_breaking_change_of_our_own_schema_fails_and_is_named(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        sdl = PATH.read_text(encoding="utf-8")
        assert run(sdl, "--release") == 0
        assert run(sdl) == 0
        capsys.readouterr()
        assert "serviceStatus: ServiceStatus! @public" in sdl
        assert run(sdl.replace("serviceStatus: ServiceStatus! @public", "serviceStatus: ServiceStatus @public")) == 1
        said = capsys.readouterr().out
        assert "breaks  Query.serviceStatus: " in said
        assert "deprecation" in said
        assert run(sdl.replace("  maxChars: Int! = 60", "  maxChars: Int!")) == 1
        assert "breaks  Order.spoken(maxChars:): " in capsys.readouterr().out

    def test_what_may_break_is_said_and_does_not_fail(
        self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(RELEASED, "--release") == 0
        assert run(edited(("first: Int! = 20", "first: Int! = 10"))) == 0
        assert "may break  Query.things(first:): " in capsys.readouterr().out

    def test_a_release_that_breaks_takes_a_word(self, run: Callable[..., int], tmp_path: Path) -> None:
        assert run(RELEASED) == 1
        assert run(RELEASED, "--release") == 0
        before = released_path(tmp_path / "released").read_text(encoding="utf-8")
        broken = edited((" name: String! colour", " colour"))
        assert run(broken, "--release") == 1
        assert released_path(tmp_path / "released").read_text(encoding="utf-8") == before
        assert run(broken, "--release", "--breaking") == 0
        assert run(broken) == 0
        (tmp_path / "released" / "0.0.1.graphql").write_text(RELEASED, encoding="utf-8")
        assert run(broken) == 1
        assert run(broken, "--release", "--breaking") == 1

    def test_the_released_sdl_names_its_version_and_day(self, run: Callable[..., int], tmp_path: Path) -> None:
        assert run(RELEASED, "--release") == 0
        path = released_path(tmp_path / "released")
        assert path.read_text(encoding="utf-8").startswith(f"# Version {path.stem}, released on 2026-11-29.\n")
