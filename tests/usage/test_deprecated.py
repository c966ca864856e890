"""Which deprecated parts a document asks for: fields, arguments, input fields and enum values, also in variables."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import DocumentNode, build_schema, parse

from schema.extensions.deprecated import NOTHING, Deprecations, Uses
from schema.root import build

SDL = """
interface Named { name: String! @deprecated nick: String }
type Thing implements Named { name: String! nick: String @deprecated more(deep: Boolean @deprecated): Thing }
enum Colour { RED BLUE @deprecated }
input Filter { colour: Colour old: String @deprecated next: Filter colours: [Colour!] }
input Plain { text: String }
type Query { thing(filter: Filter, colour: Colour, old: Int @deprecated, plain: Plain): Thing named: Named }
"""
DEPRECATIONS = Deprecations(build_schema(SDL))


def found(text: str, **variables: Any) -> set[str]:
    return set(DEPRECATIONS.uses(parse(text)).of(variables))


@pytest.mark.parametrize(
    ("text", "coordinates"),
    [
        ("{ thing { name more { more { name } } } }", set()),
        ("{ thing { nick } }", {"Thing.nick"}),
        ("{ named { name nick } }", {"Named.name"}),
        ("{ named { ... on Thing { name nick } } }", {"Thing.nick"}),
        ("{ thing { ...Part } } fragment Part on Thing { more(deep: true) { n: nick } }",
         {"Thing.nick", "Thing.more(deep:)"}),
        ("{ thing(old: 1) { name } }", {"Query.thing(old:)"}),
        ("{ thing(colour: BLUE) { name } }", {"Colour.BLUE"}),
        ("{ thing(colour: RED) { name } }", set()),
        ('{ thing(filter: { next: { old: "x", colours: [RED, BLUE] } }) { name @skip(if: true) } }',
         {"Filter.old", "Colour.BLUE"}),
    ],
)  # fmt: skip
def test_what_stands_in_a_document_is_found(text: str, coordinates: set[str]) -> None:
    assert found(text) == coordinates


def test_what_stands_in_variables_is_found() -> None:
    text = "query ($f: Filter, $all: [Colour!], $p: Plain) { thing(filter: $f, plain: $p) { name } }"
    assert found(text) == set()
    given = {"colour": "RED", "next": {"old": "x", "next": {"colours": ["RED", "BLUE"]}}}
    assert found(text, f=given) == {"Filter.old", "Colour.BLUE"}
    assert found(text, f=None, p={"text": "BLUE"}, all="BLUE") == {"Colour.BLUE"}
    # What does not fit its type is refused when it is executed.
    assert found(text, f=["BLUE", 1, {"colour": {"a": 1}, "strange": 1}], all=[[["BLUE"]], 3]) == {"Colour.BLUE"}


def test_a_document_without_any_keeps_nothing() -> None:
    assert DEPRECATIONS.uses(parse("{ thing { name } }")) is NOTHING
    assert Deprecations(build_schema("type Query { a: Int }")).uses(parse("{ a }")) is NOTHING


def test_it_is_found_once_for_each_document() -> None:
    schema, looked = build(), []
    text = "subscription { alerts { ... on AlertEvent { alert { ... on WorkAlert { work { id jobId } } } } } }"

    def find_out(node: DocumentNode) -> Uses:
        looked.append(node)
        return schema.deprecated_in(node)

    for _ in range(3):
        uses = schema.document(text).part("deprecated", find_out)
        assert uses.of(None) == {"ParkedWork.id"}
    assert len(looked) == 1
