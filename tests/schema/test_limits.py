"""A document is measured as if its fragments were written out, and yet each of its nodes is looked at once."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    Node,
    OperationDefinitionNode,
    parse,
    visit,
)
from graphql.language import Visitor
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.settings import Environment, Settings
from schema import root
from schema.extensions.limits import COUNTED_MAX, DocumentLimitExceeded, Limits, check_variables, measure, read
from tests.hostile_documents import documents

# The dearest takes a fifth of that on a busy machine; without limits some take seconds, and some for ever.
CPU_MAX_S = 0.25
SCHEMA = root.build()
CLOSED = root.build(Limits(introspection=False, suggestions=False))
SMALL = Limits(
    tokens=60, depth=4, fields=6, aliases=2, directives=2, spreads=3, values=5, value_length=10, variables_bytes=20
)


def refusal(text: str, limits: Limits = SMALL) -> dict[str, Any]:
    """Return the values of the refusal."""
    with pytest.raises(GraphQLError) as caught:
        read(text, limits)
    error = caught.value.original_error
    assert isinstance(error, DocumentLimitExceeded), caught.value
    return error.values


class TestLimits:
    @pytest.mark.parametrize(
        ("fits", "over", "limit", "found"),
        [
            ("{a{b{c{d}}}}", "{a{b{c{d{e}}}}}", "DEPTH", 5),
            ("{a{b{...{d}}}}", "{a{b{...{...{e}}}}}", "DEPTH", 5),
            ("{a{b{...F}}} fragment F on T{c{d}}", "{a{b{...F}}} fragment F on T{c{d{e}}}", "DEPTH", 5),
            ("{a b c d e f}", "{a b c d e f g}", "FIELDS", 7),
            ("{...F ...F} fragment F on T{a b c}", "{g ...F ...F} fragment F on T{a b c}", "FIELDS", 7),
            ("{x:a y:b}", "{x:a y:b z:c}", "ALIASES", 3),
            ("{a @x b @x}", "{a @x @x b @x}", "DIRECTIVES", 3),
            ("query @x {...@x{a}}", "query($a: T @x) @x {... @x {a}}", "DIRECTIVES", 3),
            ("{...F ...F ...F} fragment F on T{a}", "{...F ...F ...F ...F} fragment F on T{a}", "SPREADS", 4),
            ("{a(b:[1 2 3 4])}", "{a(b:[1 2 3 4 5])}", "VALUES", 6),
            ("{a(b:{c:[1 2 {d:3}]})}", "{a(b:{c:[1 2 {d:3}]},e:$v)}", "VALUES", 7),
            ("query($a:[Int]=[1 2 3 4]){a}", "query($a:[Int]=[1 2 3 4 5]){a}", "VALUES", 6),
            ("{a @x(b:[1 2 3 4])}", "{a @x(b:[1 2 3 4 5])}", "VALUES", 6),
            ('{a(b:"0123456789")}', '{a(b:"0123456789x")}', "VALUE_LENGTH", 11),
            ("{a(b:1234567890)}", "{a(b:12345678901)}", "VALUE_LENGTH", 11),
            ("{a(b:1.23456789)}", "{a(b:[1.234567890])}", "VALUE_LENGTH", 11),
        ],
    )  # fmt: skip
    def test_each_limit_is_exact(self, fits: str, over: str, limit: str, found: int) -> None:
        if limit != "VALUES" or "$v" not in over:
            read(fits, SMALL)
        values = refusal(over)
        assert (values["limit"], values["maximum"]) == (limit, getattr(SMALL, limit.lower()))
        assert values["found"] == found

    def test_tokens(self) -> None:
        assert refusal("{" + " a" * 59 + "}") == {"limit": "TOKENS", "maximum": 60, "found": None}
        assert refusal("{a}" + "#\n" * 60)["limit"] == "TOKENS"

    def test_variables(self) -> None:
        check_variables({"a": "0123456789"}, SMALL)
        with pytest.raises(GraphQLError) as caught:
            check_variables({"a": "0123456789abcd"}, SMALL)
        assert isinstance(caught.value.original_error, DocumentLimitExceeded)
        assert caught.value.original_error.values == {"limit": "VARIABLES_BYTES", "maximum": 20, "found": 22}

    def test_of_several_operations_each_counts_alone(self) -> None:
        read("query A {a b c d e f} query B {a b c d e f}", SMALL)
        assert refusal("query A {a} query B {a b c d e f g}")["limit"] == "FIELDS"
        assert refusal("{a} fragment Unused on T {a b c d e f g}")["limit"] == "FIELDS"

    def test_every_limit_has_a_setting(self) -> None:
        changed = Settings(
            document_tokens_max=101, document_depth_max=2, document_fields_max=3, document_aliases_max=4,
            document_directives_max=5, document_spreads_max=6, document_values_max=7, document_value_length_max=88,
            variables_size_max_bytes=9, introspection=False,
        )  # fmt: skip
        assert Limits.of(changed) == Limits(101, 2, 3, 4, 5, 6, 7, 88, 9, introspection=False, suggestions=False)
        assert Limits.of(Settings()) == Limits()


class TestIntrospection:
    def test_is_for_development_unless_a_setting_says_otherwise(self) -> None:
        assert Settings().introspects
        assert not Settings(environment=Environment.PRODUCTION).introspects
        assert Settings(environment=Environment.PRODUCTION, introspection=True).introspects
        assert not Settings(introspection=False).introspects

    @pytest.mark.parametrize(
        "query",
        [
            "{__schema{types{name}}}",
            '{a:__type(name:"Query"){name}}',
            "{...F} fragment F on Query{__schema{types{name}}}",
        ],
    )
    async def test_is_refused_where_it_is_off(self, query: str) -> None:
        assert (await SCHEMA.execute(query)).errors is None
        result = await CLOSED.execute(query)
        assert result.data is None
        assert [error.message for error in result.errors or []] == ["Introspection is disabled."]
        assert (await CLOSED.execute("{__typename}")).data == {"__typename": "Query"}

    def test_errors_suggest_nothing_where_it_is_off(self) -> None:
        assert "Did you mean" in str(SCHEMA.read("{ viewr { id } }")[1])
        (error,) = CLOSED.read("{ viewr { id } }")[1]
        assert error.message == "Cannot query field 'viewr' on type 'Query'."


class TestCost:
    @pytest.mark.parametrize("name", documents())
    def test_no_document_takes_the_processor_for_long(self, name: str) -> None:
        text = documents()[name]
        spent_s = []
        for attempt in range(3):
            begun_s = time.thread_time()
            with suppress(GraphQLError):
                # Another text each time, so that nothing is remembered.
                SCHEMA.read(text + " " * attempt)
            spent_s.append(time.thread_time() - begun_s)
        assert min(spent_s) < CPU_MAX_S


class TestLinearity:
    def test_a_document_of_exponential_size_is_measured_at_once(self) -> None:
        for length in (100, 200, 400):
            bomb = "{...F0}" + "".join(f"fragment F{i} on Q{{...F{i + 1} ...F{i + 1}}}" for i in range(length))
            size = measure(parse(bomb + f"fragment F{length} on Q{{a}}"))
            assert size.fields == COUNTED_MAX
            assert size.visited == 2 * length + 2

    def test_fragments_that_spread_themselves_end(self) -> None:
        assert measure(parse("{...A} fragment A on Q{a ...B} fragment B on Q{b ...A}")).fields == 2
        assert measure(parse("{...A} fragment A on Q{a ...A}")).fields == 1

    def test_a_chain_longer_than_the_stack(self) -> None:
        chain = "".join(f"fragment F{i} on Q{{a{{...F{i + 1}}}}}" for i in range(3_000))
        assert measure(parse("{...F0}" + chain + "fragment F3000 on Q{a}")).depth == 3_001

    @settings(deadline=None)
    @given(st.data())
    def test_it_agrees_with_writing_out_and_visits_each_node_once(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(0, 5))
        texts = [f"fragment F{i} on Q {_selections(data, range(i + 1, count))}" for i in range(count)]
        # In any order: a fragment may stand before those that it spreads.
        texts = data.draw(st.permutations([*texts, _selections(data, range(count))]))
        document = parse(" ".join(texts))
        size = measure(document)
        assert size.visited <= _nodes(document)
        written_out = [_written_out(definition, document) for definition in document.definitions]
        assert size.fields == max(fields for fields, _ in written_out)
        assert size.depth == max(depth for _, depth in written_out)


def _selections(data: st.DataObject, fragments: range, below: int = 2) -> str:
    parts = ["a"]
    for kind in data.draw(st.lists(st.sampled_from("fsni"), max_size=4)):
        if kind == "s" and fragments:
            parts.append(f"...F{data.draw(st.sampled_from(fragments))}")
        elif kind in "ni" and below:
            parts.append(("b" if kind == "n" else "...") + _selections(data, fragments, below - 1))
        else:
            parts.append("x:c(d:[1,{e:2}]) @f(g:3)")
    return "{" + " ".join(parts) + "}"


def _written_out(node: Any, document: DocumentNode) -> tuple[int, int]:
    """Return fields and depth, the slow way."""
    fields = depth = 0
    for each in node.selection_set.selections if node.selection_set else ():
        if isinstance(each, FragmentSpreadNode):
            name = each.name.value
            fragment = next(
                one
                for one in document.definitions
                if isinstance(one, FragmentDefinitionNode) and one.name.value == name
            )
            more, deeper = _written_out(fragment, document)
        else:
            more, deeper = _written_out(each, document)
            more, deeper = more + isinstance(each, FieldNode), deeper + 1
        fields, depth = fields + more, max(depth, deeper)
    assert isinstance(node, OperationDefinitionNode | Node)
    return fields, depth


def _nodes(document: DocumentNode) -> int:
    class Counter(Visitor):
        count = 0

        def enter(self, *_: Any) -> None:
            self.count += 1

    counter = Counter()
    visit(document, counter)
    return counter.count
