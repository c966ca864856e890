"""The code that is generated, what it asks loaders for, and what becomes of what it does not expect."""

from __future__ import annotations

from inspect import isawaitable
from typing import Any

import pytest
from graphql import parse, validate

from schema.execution.documents import OperationCache
from schema.execution.executor import Executor
from schema.execution.generating import Source
from tests.execution.everything import build
from tests.execution.trouble import Context

SCHEMA = build()._schema
CACHE = OperationCache(parse, lambda node: validate(SCHEMA, node), size_max_bytes=1 << 24)


async def execute(by: Executor, text: str, *, share: float = 0.0, seed: int = 1) -> tuple[Any, list[str]]:
    """Return the result, and what loaders were asked for."""
    document, context = CACHE.get(text), Context(seed, share)
    context.batches.cache = context.branches.cache = False
    assert document.valid
    (operation,) = document.operations
    result = by.execute(document, operation, root=None, context=context, variables=None, extensions=None)
    return await result if isawaitable(result) else result, [each for each in context.calls if "batch" in each]


def executor(generates_after: int = 1) -> Executor:
    return Executor(SCHEMA, hide_suggestions=False, generates_after=generates_after)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was generated."""
    found: list[str] = []
    compiled = Source.compiled

    def noted(source: Source) -> Any:
        found.append(source.text)
        return compiled(source)

    monkeypatch.setattr(Source, "compiled", noted)
    return found


async def test_the_code_of_a_selection_can_be_read(texts: list[str]) -> None:
    by, text = executor(), "{ strict(number: 1) { birds { song weight __typename } } }"
    for _ in range(2):
        result, _ = await execute(by, text)
        birds = [{"song": "tweet " * number, "weight": 0.5, "__typename": "Bird"} for number in (1, 2)]
        assert result.data == {"strict": {"birds": birds}}
    assert texts == [
        """\
def write(run, value, work):
    groups_slot5 = work.waiting.setdefault(slot5, {})
    if type(value) is not Branch1:
        raise Unexpected
    object2 = {'birds': None}
    key3 = value.number
    group4 = groups_slot5.get(key3)
    if group4 is None:
        groups_slot5[key3] = [object2]
    else:
        group4.append(object2)
    return object2

def put_slot5(run, groups, found, work):
    for key, objects in groups.items():
        loaded = outcome(found[key])
        finished = finish7(loaded, **constant6)
        if type(finished) is not list:
            raise Unexpected
        list8 = []
        for item9 in finished:
            if type(item9) is not Bird10:
                raise Unexpected
            row11 = item9.row
            value12 = song13(row11)
            if type(value12) is not str:
                value12 = write14(value12)
            value15 = row11.weight
            if value15 is not None and (type(value15) is not float or not isfinite(value15)):
                value15 = write16(value15)
            object17 = {'song': value12, 'weight': value15, '__typename': 'Bird'}
            list8.append(object17)
        part = list8
        for each in objects:
            each['birds'] = part
    return None
"""
    ]


async def test_code_is_generated_only_for_what_is_executed_often(texts: list[str]) -> None:
    by = executor(generates_after=3)
    for times in range(5):
        await execute(by, "{ strict(number: 3) { name double } }")
        assert len(texts) == (times >= 3)


async def test_each_level_is_loaded_at_once_and_each_key_once() -> None:
    by = executor()
    text = "{ tops { next { after { birds { song } } name } after(times: 2) { double } related } }"
    for _ in range(3):
        _, asked = await execute(by, text)
    first, below = "batch [1, 2, 3, 4, 2, 3, 4, 5]", "batch [3, 4, 5, 6]"
    assert asked == [first, "batch ['o1', 'o3']", "batch [6]", below], "what was loaded for a level above is known"


async def test_what_was_loaded_is_not_loaded_again_where_something_fails() -> None:
    by = executor()
    text = "{ tops { next { guardedRelated } related } }"
    failed = 0
    await execute(by, text)
    for seed in range(1, 12):
        for _ in range(2):
            result, asked = await execute(by, text, seed=seed, share=0.2)
            keys = [key for each in asked for key in each.removeprefix("batch [")[:-1].split(", ")]
            assert len(keys) == len(set(keys))
        failed += bool(result.errors)
    assert failed > 3


@pytest.mark.parametrize("field", ["loaded", "child { name }", "anything { __typename }", "loud", "secret"])
async def test_what_takes_more_than_the_object_is_executed_as_before(field: str, texts: list[str]) -> None:
    by = executor()
    for _ in range(3):
        result, _ = await execute(by, f"{{ strict(number: 1) {{ {field} name }} }}")
    assert "name" in (result.data or {}).get("strict", {})
    assert not any("Branch" in text and "'loaded'" in text for text in texts)
