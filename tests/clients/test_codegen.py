"""The clients are made from partners' SDL and the documents, and what cannot be typed is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema

from clients.codegen import __main__ as codegen
from clients.codegen import python, typescript
from clients.codegen.model import Choice, DocumentUnfit, Operation, read
from clients.python.generated.create_recharge import CREATE_RECHARGE
from schema.extensions.trusted import PATH

SDL = """
interface UserError { code: String! message: String! }
type Thing { id: ID! at: DateTime colour: Colour! parts(first: Int): [Thing!]! maybe: [Int] other: Other }
type Other { word: String! }
type Gone implements UserError { code: String! message: String! retryAt: DateTime }
scalar DateTime
enum Colour { RED "Blue as the sky." BLUE }
union Answer = Thing | Gone
input Filter { name: String! colours: [Colour!] deep: Deep size: Int! = 1 }
input Deep { at: DateTime }
type Query { thing(filter: Filter): Answer! things: [Thing!]! }
type Mutation { make(input: Make!): Answer! }
input Make { idempotencyKey: String! name: String }
"""
SCHEMA = build_schema(SDL)
ERROR = "... on UserError { code message }"


def operation(tmp_path: Path, text: str, schema: GraphQLSchema = SCHEMA) -> Operation:
    path = tmp_path / "partner_one.graphql"
    path.write_text(text, encoding="utf-8")
    (found,) = read(schema, [path])
    return found


def test_the_committed_clients_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert codegen.main(["--check"]) == 0, capsys.readouterr().out


def test_an_outdated_client_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = {tmp_path / "made": typescript.write}
    assert codegen.main([], targets=targets) == 0
    assert codegen.main(["--check"], targets=targets) == 0
    (tmp_path / "made" / "older.ts").write_text("")
    assert codegen.main(["--check"], targets=targets) == 1
    assert "older.ts" in capsys.readouterr().out
    assert codegen.main([], targets=targets) == 0
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["operations.ts"]
    (tmp_path / "made" / "operations.ts").write_text("")
    assert codegen.main(["--check"], targets=targets) == 1


def test_the_server_trusts_what_the_clients_send() -> None:
    trusted = json.loads(PATH.read_text(encoding="utf-8"))
    assert trusted[CREATE_RECHARGE.sha256] == CREATE_RECHARGE.text


class TestModel:
    def test_a_union_is_read_by_its_members(self, tmp_path: Path) -> None:
        text = f"mutation Make($k: String!) {{ make(input: {{ idempotencyKey: $k }}) {{ __typename {ERROR} }} }}"
        found = operation(tmp_path, text)
        assert (found.kind, found.field, found.key) == ("mutation", "make", "k")
        assert isinstance(found.answer.what, Choice)
        assert [(each.name, each.refuses) for each in found.answer.what.members] == [
            ("MakeGone", True),
            ("MakeThing", False),
        ]

    def test_selections_of_one_field_are_merged(self, tmp_path: Path) -> None:
        text = "query Q { things { parts { id } ...More } } fragment More on Thing { parts { at } n: id }"
        modules = python.write(SCHEMA, [operation(tmp_path, text)])
        assert "    id: str\n    at: datetime | None\n" in modules["q.py"]
        assert "    n: str\n" in modules["q.py"]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("{ things { id } }", "a name"),
            ("query A { things { id } } query B { things { id } }", "one operation"),
            ("query A { things { id } more: things { id } }", "one field"),
            ("query A { things { nonsense } }", "nonsense"),
            ("query A { thing { ... on Thing { id } } }", "__typename of Answer"),
            ("query A($s: Boolean!) { things { id @skip(if: $s) } }", "left out"),
        ],
    )
    def test_a_document_that_cannot_be_typed_is_refused(self, tmp_path: Path, text: str, reason: str) -> None:
        with pytest.raises(DocumentUnfit, match=reason):
            operation(tmp_path, text)

    def test_two_documents_of_one_name_are_refused(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            (tmp_path / name).write_text("query A { things { id } }")
        with pytest.raises(DocumentUnfit, match="one name"):
            read(SCHEMA, sorted(tmp_path.iterdir()))

    def test_an_error_without_its_message_is_refused(self, tmp_path: Path) -> None:
        found = operation(tmp_path, "query A { thing { __typename ... on UserError { code } } }")
        with pytest.raises(DocumentUnfit, match="message"):
            python.write(SCHEMA, [found])


class TestText:
    TEXT = f"""query Find($filter: Filter, $colour: [Colour]) {{
  thing(filter: $filter) {{ __typename ... on Thing {{ id at colour maybe other {{ word }} }} {ERROR} }}
}}
"""

    @pytest.fixture
    def found(self, tmp_path: Path) -> Operation:
        text = self.TEXT.replace(", $colour: [Colour]", "")
        return operation(tmp_path, text)

    def test_python(self, found: Operation) -> None:
        modules = python.write(SCHEMA, [found])
        assert "class FindGone(Refusal):" in modules["find.py"]
        assert "    colour: Colour | str\n" in modules["find.py"]
        assert "    maybe: list[int | None] | None\n" in modules["find.py"]
        assert "    other: FindThingOther | None\n" in modules["find.py"]
        inputs = modules["inputs.py"]
        assert "    name: str\n    colours: list[Colour | str] | None = None\n" in inputs
        assert "    size: int | None = None\n" in inputs
        assert inputs.index("class Deep") < inputs.index("class Filter")
        assert "filter: Filter | None = None) -> FindResult:" in modules["api.py"]

    def test_typescript(self, found: Operation) -> None:
        (text,) = typescript.write(SCHEMA, [found]).values()
        assert 'export type Colour = "RED" | "BLUE" | (string & {});' in text
        assert "export interface FindGone extends Refusal {" in text
        assert "  readonly maybe: readonly (number | null)[] | null;" in text
        assert "  readonly size?: number;" in text
        assert "  readonly filter?: Filter | null;" in text
