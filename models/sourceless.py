"""Tortoise reads the source of every model for comments that begin with `#:`; there are none in this house.

Reading, tokenising and keeping all that text takes a tenth of the time until a process is ready, so it is told that
there is no source, which is what it finds where only bytecode is installed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _no_sources() -> Iterator[None]:
    def refuse(object: Any) -> str:  # noqa: A002 -- inspect's own word.
        raise OSError("source is not read while Tortoise is loaded")

    getsource = inspect.getsource
    inspect.getsource = refuse
    try:
        yield
    finally:
        inspect.getsource = getsource


def _no_comments(cls: Any) -> dict[str, str]:
    return {}


# Its own base class is a model as well, and the longest.
with _no_sources():
    import tortoise.models

tortoise.models._get_comments = _no_comments
