"""Operations drawn over a schema with everything, with failures by chance: a plan answers as graphql-core does."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from graphql import GraphQLObjectType, specified_rules, validate
from graphql import parse as parse_document
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.execution.documents import OperationCache
from schema.execution.executor import CONDITIONS_MAX
from tests.execution.comparing import Both
from tests.execution.everything import build
from tests.execution.generating import Drawing, Drawn
from tests.execution.trouble import Context

SCHEMA = build()._schema
RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
CACHE = OperationCache(parse_document, lambda node: validate(SCHEMA, node, RULES), size_max_bytes=1 << 26)
SCALARS: dict[str, Any] = {
    "Int": lambda random: random.choice([0, 1, -5, 2**31 - 1]),
    "Float": lambda random: random.choice([0.5, 3, -1e9]),
    "String": lambda random: random.choice(["", "a", "油卡", 'q"\\n']),
    "Boolean": lambda random: random.random() < 0.5,
    "ID": lambda random: random.choice(["x", "7"]),
    "Moment": lambda random: random.choice(["2026-11-29T00:00:00+00:00", "2026-11-29", "yesterday"]),
    "Blob": lambda random: random.choice(["text", 1, [1, 2], {"a": 1}]),
}


# What generated code writes; with other fields beside them it is seldom asked.
SIMPLE = frozenset(
    {
        "name",
        "code",
        "related",
        "next",
        "after",
        "reached",
        "birds",
        "guardedRelated",
        "double",
        "still",
        "number",
        "colour",
    }
    | {"colour", "weight", "song", "wings", "strict"}
)


def draw(random: Random, only: frozenset[str] | None) -> Drawn:
    drawing = Drawing(SCHEMA, random, SCALARS, only=only)
    kind = random.choice(["query", "query", "query", "mutation"])
    root = SCHEMA.query_type if kind == "query" else SCHEMA.mutation_type
    assert isinstance(root, GraphQLObjectType)
    return drawing.document(kind, root)


async def compare(seed: int, share: float, only: frozenset[str] | None = None) -> bool | None:
    """Whether the operation of this seed, which is drawn alike each time, had errors; None where it is not valid."""
    random = Random(seed)
    drawn = draw(random, only)
    document = CACHE.get(drawn.text)
    assert document.refusal is None, (document.refusal, drawn.text)
    if document.errors:
        return None
    both = Both(SCHEMA, CACHE, lambda: Context(seed, share))
    # With more conditions than plans are made for, it is graphql-core both times.
    planned = None if drawn.text.count("Boolean!") > CONDITIONS_MAX else True
    # Twice, since the second time the plan has seen which classes there are, and code was generated for it.
    for _ in range(2):
        result = await both.compare(
            drawn.text, drawn.variables, root="the root", planned=planned, lenient=only is not None
        )
    return bool(result.errors)


@pytest.mark.usefixtures("siblings_may_be_abandoned")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("share", [0.0, 0.03, 0.3])
@pytest.mark.parametrize("only", [None, SIMPLE], ids=["everything", "what code is generated for"])
def test_a_plan_answers_as_graphql_core_does(share: float, only: frozenset[str] | None) -> None:
    seen: list[bool | None] = []

    @settings(
        max_examples=250 if only is None else 100,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(seed=st.integers(0, 1 << 32))
    def run(seed: int) -> None:
        seen.append(asyncio.run(compare(seed, share, only)))

    run()
    valid = [each for each in seen if each is not None]
    assert len(valid) >= 0.6 * len(seen), "most of what is drawn is to be executed"
    assert len([each for each in valid if not each]) >= (0.4 if share == 0.0 else 0.04) * len(seen)
