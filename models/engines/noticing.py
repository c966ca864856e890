"""Every statement of the ORM is looked at once it was sent, whatever became of it: a lost answer tells nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models import changes

if TYPE_CHECKING:
    from tortoise.backends.base.client import BaseDBAsyncClient as Client
else:
    Client = object


class Noticing(Client):
    """Stands before a client or a transaction of either database."""

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        try:
            return await super().execute_insert(query, values)
        finally:
            changes.written(query)

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        try:
            await super().execute_many(query, values)
        finally:
            changes.written(query)

    async def execute_query(self, query: str, values: list[Any] | None = None) -> Any:
        try:
            return await super().execute_query(query, values)
        finally:
            changes.written(query)

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        try:
            return await super().execute_query_dict(query, values)
        finally:
            changes.written(query)

    async def execute_query_dict_with_affected(
        self, query: str, values: list[Any] | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        try:
            return await super().execute_query_dict_with_affected(query, values)
        finally:
            changes.written(query)

    async def execute_script(self, query: str) -> None:
        try:
            await super().execute_script(query)
        finally:
            changes.written(query)
