"""The settings of how operations are kept and executed, apart from the others since those fill a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class ExecutionSettings(BaseSettings):
    """A part of Settings, which says how the variables are named."""

    # Documents that were parsed and validated before, and their compiled operations.
    operation_cache_size_max_bytes: Annotated[int, Field(ge=64 * 1024)] = 16 * 1024 * 1024
    # Operations are compiled; without it graphql-core executes them, a quarter as fast and otherwise the same.
    compiled_execution: bool = True
