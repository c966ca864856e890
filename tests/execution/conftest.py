"""Fixtures of the tests that compare with graphql-core."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def siblings_may_be_abandoned() -> Iterator[None]:
    """Where one of several siblings makes all of them null, coroutines are left behind that were not begun yet.

    They go with the test that knows of it, since they would fail another one in which they are found.
    """
    yield
    gc.collect()
