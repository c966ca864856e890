"""The migrations make exactly what the models say."""

from __future__ import annotations

from tortoise import Tortoise
from tortoise.migrations.autodetector import MigrationAutodetector

from models.database import APP_LABEL, config, migrate


async def test_no_model_waits_for_a_migration(sqlite_url: str) -> None:
    await Tortoise.init(config=config(sqlite_url), init_connections=False)
    try:
        writers = await MigrationAutodetector(Tortoise.apps, config(sqlite_url)["apps"]).changes()
    finally:
        await Tortoise.close_connections()
    assert [writer.name for writer in writers] == [], APP_LABEL


async def test_migrating_twice_changes_nothing(database_url: str) -> None:
    await migrate(database_url)
    await migrate(database_url)
