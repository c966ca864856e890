"""Every error that somebody can act on has a code of its own and a whole message in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter
from typing import Any

import pytest

from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.money import Money
from schema.root import build
from schema.types.errors import ERRORS, to_user_error
from schema.types.user_error import UserError
from tests.schema.support import LANGUAGES, assert_message_is_whole

# Importing what the schema is made of is what defines them.
SCHEMA = build()


def every_error(kind: type[YoukaError] = YoukaError) -> Iterator[type[YoukaError]]:
    for error in kind.__subclasses__():
        if not error.__module__.startswith("tests."):
            yield error
        yield from every_error(error)


ALL = sorted(set(every_error()), key=lambda error: error.__qualname__)


def values_of(error: type[YoukaError]) -> dict[str, Any]:
    """Return a value for everything that a message wants to be told: money where it shows some, else a number."""
    values: dict[str, Any] = {}
    for message in error.messages.values():
        for _, wanted, _, _ in Formatter().parse(message):
            if wanted:
                name, _, attribute = wanted.partition(".")
                values[name] = Money(12_345) if attribute == "text" else 7
    return values


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__qualname__)
def test_both_messages_are_whole_and_tell_the_same_values(kind: type[YoukaError]) -> None:
    assert set(kind.messages) == set(LANGUAGES)
    error = kind(**values_of(kind))
    assert_message_is_whole(error.message("zh-CN"), error.message("en"))
    chinese, english = ({name for _, name, _, _ in Formatter().parse(text) if name} for text in kind.messages.values())
    assert chinese == english


@pytest.mark.parametrize("kind", list(ERRORS), ids=lambda kind: kind.__qualname__)
def test_a_typed_error_carries_code_and_message(kind: type[YoukaError]) -> None:
    error = kind(
        **{
            "price": Money(1),
            "balance": Money(1),
            "missing": Money(2),
            "detail": "here",
            "retry_at": utc_now(),
            **values_of(kind),
        }
    )
    for language in LANGUAGES:
        typed = to_user_error(error, language)
        assert isinstance(typed, UserError)
        assert (typed.code, typed.message) == (kind.code, error.message(language))


def test_codes_tell_errors_apart() -> None:
    """Two errors share a code only where clients are to treat them alike."""
    alike = {"UNAUTHENTICATED", "CURSOR_INVALID", "FORBIDDEN", "NOT_FOUND"}
    by_code: dict[str, set[str]] = {}
    for kind in ALL:
        by_code.setdefault(kind.code, set()).add(kind.__qualname__)
    assert {code: kinds for code, kinds in by_code.items() if len(kinds) > 1 and code not in alike} == {}
