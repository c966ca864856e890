"""A request has the loaders that it asks for, and shares those whose loads are joined."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from models.joining import Joined
from resolvers import loaders
from schema.types.context import Loaders
from schema.types.organisation_loaders import OrganisationLoaders


def moment() -> datetime:
    return datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("joined", [True, False])
def test_every_loader_that_is_declared_can_be_asked_for(joined: bool) -> None:
    own = loaders.build(joined=joined)
    for name in inspect.get_annotations(Loaders):
        assert isinstance(getattr(own, name), Joined | OrganisationLoaders), name
        assert getattr(own, name) is getattr(own, name)
    with pytest.raises(AttributeError):
        _ = own.nonsense


def test_none_is_made_before_it_is_asked_for() -> None:
    own = loaders.build()
    made = len(vars(own))
    _ = own.orders
    assert len(vars(own)) == made + 1


def test_requests_share_what_is_joined_and_nothing_else() -> None:
    one, other = loaders.build(), loaders.build()
    shared = {name for name in loaders.OWN if getattr(one, name) is getattr(other, name)}
    assert shared == set(loaders.JOINED)


@pytest.mark.parametrize("build", [lambda: loaders.build(joined=False), lambda: loaders.build(moment)])
def test_without_joining_and_by_another_clock_nothing_is_shared(build: Any) -> None:
    one, other = build(), build()
    assert not [name for name in loaders.OWN if getattr(one, name) is getattr(other, name)]
