"""The settings of the cache of answers, apart from the others since those fill a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class CacheSettings(BaseSettings):
    """A part of Settings, which says how the variables are named."""

    # Whole answers, until what they have read is changed; 0 keeps none.
    response_cache_size_max_bytes: Annotated[int, Field(ge=0)] = 32 * 1024 * 1024
    # Stations as they stand in answers, and their rows, until one of them is changed; 0 keeps none.
    fragment_cache_size_max_bytes: Annotated[int, Field(ge=0)] = 20 * 1024 * 1024
    # For so long an answer stays at most where changes are heard of by Redis; without it, for its age in the schema.
    response_cache_lasts_s: Annotated[int, Field(ge=0)] = 900
    # Whoever has not heard from Redis for so long may have missed a change, and keeps nothing until it has.
    response_cache_deaf_max_ms: Annotated[int, Field(ge=200)] = 5_000
