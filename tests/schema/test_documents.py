"""Documents are parsed and validated once, and the cache cannot be filled without bounds."""

from __future__ import annotations

from typing import Any

import pytest
import strawberry
from graphql import GraphQLError

from schema.extensions import documents
from schema.extensions.documents import Schema


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "hello"


@strawberry.type
class OtherQuery:
    @strawberry.field
    def bye(self) -> str:
        return "bye"


class Counter:
    """Counts the calls of a function of the module and passes them on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.calls = 0
        self._original = getattr(documents, name)
        monkeypatch.setattr(documents, name, self)

    def __call__(self, *arguments: Any, **values: Any) -> Any:
        self.calls += 1
        return self._original(*arguments, **values)


async def test_a_document_is_parsed_and_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parses, validations = Counter(monkeypatch, "read"), Counter(monkeypatch, "validate")
    schema = Schema(query=Query)
    for _ in range(5):
        result = await schema.execute("{ hello }")
        assert result.data == {"hello": "hello"}
    assert (parses.calls, validations.calls) == (1, 1)


async def test_an_invalid_document_stays_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    validations = Counter(monkeypatch, "validate")
    schema = Schema(query=Query)
    for _ in range(3):
        result = await schema.execute("{ unknown }")
        assert result.data is None
        assert result.errors
        assert "unknown" in result.errors[0].message
    assert validations.calls == 1


async def test_what_one_schema_allows_another_may_refuse() -> None:
    first, second = Schema(query=Query), Schema(query=OtherQuery)
    assert (await first.execute("{ hello }")).errors is None
    assert (await second.execute("{ hello }")).errors is not None
    assert (await second.execute("{ bye }")).errors is None


async def test_a_refused_document_is_read_once_and_refused_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    parses = Counter(monkeypatch, "read")
    schema = Schema(query=Query)
    for _ in range(3):
        with pytest.raises(GraphQLError):
            schema.read("{ hello")
        result = await schema.execute("{ hello")
        assert result.data is None
        assert result.errors
    assert parses.calls == 1


async def test_several_operations_need_a_name() -> None:
    schema = Schema(query=Query)
    query = "query A { hello } query B { renamed: hello }"
    refused = await schema.execute(query)
    assert refused.data is None
    assert refused.errors
    assert refused.errors[0].extensions == {"code": "OPERATION_NAME_REQUIRED"}
    assert (await schema.execute(query, operation_name="B")).data == {"renamed": "hello"}
    assert (await schema.execute("fragment F on Query { hello } query A { ...F }")).data == {"hello": "hello"}
