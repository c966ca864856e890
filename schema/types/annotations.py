"""strawberry reads each annotation several times; what it is told here is the same, in a tenth of the time.

It parses a text to a tree, writes the tree back as text and compiles that, in case the annotation holds lazy types.
Ours hold none, so a text is compiled once for all and evaluated where it stands. What is more than types, and lists and
unions of types, is left to strawberry.
"""

from __future__ import annotations

from functools import cache
from types import CodeType, UnionType
from typing import Any, NewType, Union, cast, get_args, get_origin

from strawberry.annotation import StrawberryAnnotation

_evaluated_by_strawberry = StrawberryAnnotation.evaluate


@cache
def _compiled(text: str) -> CodeType:
    return compile(text, "<annotation>", "eval")


def _is_plain(found: object) -> bool:
    """Return whether there is nothing left to evaluate."""
    if isinstance(found, UnionType) or get_origin(found) in {list, Union}:
        return all(map(_is_plain, get_args(found)))
    return isinstance(found, type | NewType)


def _evaluated(self: StrawberryAnnotation) -> type:
    given = self.raw_annotation
    if isinstance(given, type):
        return given
    if isinstance(given, str):
        # A name that is not known yet is a NameError here as there, and strawberry asks again later.
        found: Any = eval(_compiled(given), self.namespace or {})  # noqa: S307 -- the text stands in our own source.
        if _is_plain(found):
            return cast("type", found)
    return _evaluated_by_strawberry(self)


def quicken_annotations() -> None:
    """Let strawberry evaluate annotations by these means."""
    StrawberryAnnotation.evaluate = _evaluated  # type: ignore[method-assign]
