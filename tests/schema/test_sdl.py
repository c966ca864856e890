"""The schema as a document: committed, described, and without surprises."""

from __future__ import annotations

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    build_schema,
    is_introspection_type,
    is_specified_scalar_type,
)

from schema.root import build
from schema.sdl import PATH, main
from schema.types.user_error import UserError

SCHEMA = build_schema(build().as_str())
ERRORS = {kind.name for kind in SCHEMA.get_possible_types(SCHEMA.type_map["UserError"])}  # type: ignore[arg-type]
OWN_TYPES = [
    kind for kind in SCHEMA.type_map.values() if not is_introspection_type(kind) and not is_specified_scalar_type(kind)
]


def test_the_committed_sdl_is_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_a_difference_is_shown_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("sdl") / "schema.graphql"
    other.write_text(PATH.read_text(encoding="utf-8").replace("bindCard", "tieCard"), encoding="utf-8")
    monkeypatch.setattr("schema.sdl.PATH", other)
    assert main(["--check"]) == 1
    assert "+  bindCard" in capsys.readouterr().out


@pytest.mark.parametrize("kind", OWN_TYPES, ids=lambda kind: kind.name)
def test_everything_is_described(kind: GraphQLNamedType) -> None:
    assert kind.description, kind.name
    if isinstance(kind, GraphQLEnumType):
        for name, value in kind.values.items():
            assert value.description, f"{kind.name}.{name}"
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        for name, field in kind.fields.items():
            assert field.description, f"{kind.name}.{name}"
            for argument, given in getattr(field, "args", {}).items():
                assert given.description, f"{kind.name}.{name}({argument}:)"


def test_mutations_that_move_money_require_an_idempotency_key() -> None:
    assert SCHEMA.mutation_type is not None
    for name in ("createRecharge", "payRecharge"):
        given = SCHEMA.mutation_type.fields[name].args["input"].type
        fields = given.of_type.fields
        assert str(fields["idempotencyKey"].type) == "String!"


def test_every_mutation_answers_with_a_union_of_a_success_and_typed_errors() -> None:
    assert SCHEMA.mutation_type is not None
    for field in SCHEMA.mutation_type.fields.values():
        members = {kind.name for kind in field.type.of_type.types}
        assert len(members - ERRORS) == 1
        assert members & ERRORS


def test_every_typed_error_is_in_the_schema() -> None:
    """Also one that no union names: where only the interface is asked for, a type that is missing is an error."""
    assert {kind.__name__ for kind in UserError.__subclasses__()} == ERRORS
