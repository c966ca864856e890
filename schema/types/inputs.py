"""The one argument of every mutation."""

from __future__ import annotations

from typing import Annotated, TypeVar

import strawberry

T = TypeVar("T")

Given = Annotated[T, strawberry.argument(description="What to do it with.")]
