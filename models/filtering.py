"""Tortoise makes thirty filters of every column, 22,000 dictionaries of them; here one is made when it is asked for.

A filter is what a keyword of `filter()` stands for, such as `created_at__gte`. The few hundred that the house uses take
a tenth of a megabyte, and all of them took six.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import tortoise.models
from tortoise.fields.base import Field
from tortoise.filters import FilterInfoDict, get_filters_for_field

# What Tortoise has for a column by its name, until somebody asks: the arguments of `get_filters_for_field`.
_Arguments = tuple[str, Field[Any] | None, str]


def _remembered(field_name: str, field: Field[Any] | None, source_field: str) -> dict[str, Any]:
    if field is None:
        # That is an annotation of one query, which has its filters to itself.
        return dict(get_filters_for_field(field_name, field, source_field))
    return {field_name: (field_name, field, source_field)}


class Filters(dict[str, FilterInfoDict]):
    """The filters of a model as they are asked for; `given` are those that Tortoise has put there by itself."""

    def __init__(self, meta: tortoise.models.MetaInfo, given: dict[str, FilterInfoDict]) -> None:
        super().__init__(given)
        self.given = given
        self._meta = meta
        self._unknown: set[str] = set()

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (isinstance(key, str) and self._made(key) is not None)

    def __missing__(self, key: str) -> FilterInfoDict:
        made = self._made(key)
        if made is None:
            raise KeyError(key)
        return made

    def _made(self, key: str) -> FilterInfoDict | None:
        if key in self._unknown:
            return None
        remembered: dict[str, _Arguments] = self._meta._filters  # type: ignore[assignment]
        # `created_at__gte`, or the name of a column by itself, which may have underscores too.
        arguments = remembered.get(key) or remembered.get(key.rpartition("__")[0])
        found = get_filters_for_field(*arguments).get(key) if arguments else None
        if found is None:
            self._unknown.add(key)
            return None
        operator = self._meta.db.executor_class.get_overridden_filter_func(
            filter_func=found["operator"], filter_info=found
        )
        if operator:
            found = copy(found)
            found["operator"] = operator
        self[key] = found
        return found


def _generate(meta: tortoise.models.MetaInfo) -> None:
    # Once more for another engine, whose operators are others.
    given = meta.filters.given if isinstance(meta.filters, Filters) else meta.filters
    meta.filters = Filters(meta, given)


tortoise.models.get_filters_for_field = _remembered  # type: ignore[attr-defined]
tortoise.models.MetaInfo._generate_filters = _generate  # type: ignore[method-assign,assignment]
