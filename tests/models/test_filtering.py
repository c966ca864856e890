"""Filters that are made when they are asked for: the same as Tortoise makes, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import pytest
import tortoise.filters
from tortoise import Tortoise
from tortoise.exceptions import FieldError
from tortoise.fields.base import Field
from tortoise.filters import FilterInfoDict
from tortoise.models import Model

from models.filtering import Filters
from models.identity import User

LATER = datetime(2999, 1, 1, tzinfo=UTC)


def columns() -> Iterator[tuple[type[Model], str, Field[object]]]:
    for model in Tortoise.apps["models"].values():
        for name, field in model._meta.fields_map.items():
            if name in model._meta.fields_db_projection or name in model._meta.backward_fk_fields:
                yield model, name, field


def as_tortoise_makes_it(model: type[Model], name: str, field: Field[object]) -> dict[str, FilterInfoDict]:
    made = tortoise.filters.get_filters_for_field(name, field, field.source_field or name)
    for each in made.values():
        each["operator"] = (
            model._meta.db.executor_class.get_overridden_filter_func(filter_func=each["operator"], filter_info=each)
            or each["operator"]
        )
    return made


def comparable(made: FilterInfoDict) -> dict[str, object]:
    """Return the same for equal filters: partial functions and tables are compared by what they are made of."""
    return {
        key: (value.func, value.keywords) if isinstance(value, partial) else str(value) if key == "table" else value
        for key, value in made.items()
    }


@pytest.mark.usefixtures("database")
class TestFilters:
    async def test_a_filter_is_what_tortoise_makes_of_the_column(self) -> None:
        looked_at = 0
        for model, name, field in columns():
            for key, expected in as_tortoise_makes_it(model, name, field).items():
                found = model._meta.get_filter(key)
                assert key in model._meta.filters
                assert comparable(found) == comparable(expected)
                looked_at += 1
            assert f"{name}__sounds_like" not in model._meta.filters
        assert looked_at > 1_000

    async def test_only_what_was_asked_for_is_there(self) -> None:
        assert isinstance(User._meta.filters, Filters)
        made = len(User._meta.filters)
        assert not await User.filter(created_at__gt=LATER, display_name__startswith="Li").exists()
        assert len(User._meta.filters) <= made + 2
        # Thirty for each column would be there otherwise.
        assert len(User._meta._filters) <= len(User._meta.fields_map) + 1

    async def test_a_filter_that_there_is_not_is_refused(self) -> None:
        with pytest.raises(FieldError):
            await User.filter(birthday__gt=LATER)
        with pytest.raises(KeyError):
            User._meta.get_filter("created_at__sounds_like")
