"""The settings of how what is shown is read, apart from the others since those fill a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class ReadingSettings(BaseSettings):
    """A part of Settings, which says how the variables are named."""

    # Requests that are under way at the same time share statements; without it each request has its own.
    joined_loads: bool = True
    # Heads of HTTP requests that need not be read again when they come once more, letter by letter; 0 keeps none.
    request_heads_kept_max: Annotated[int, Field(ge=0)] = 4_096
    # So many of the connections to PostgreSQL only read, and are not reset between two statements. They are among
    # those that `database_pool_size_max` allows, five of twelve at most; with none the pool reads as well. With fewer,
    # more requests wait in line, and each turn of the loop has fewer answers to read.
    database_reading_connections_max: Annotated[int, Field(ge=0)] = 5
