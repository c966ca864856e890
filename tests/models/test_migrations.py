"""The migrations make exactly what the models say."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from tortoise import Tortoise
from tortoise.migrations.autodetector import MigrationAutodetector

import models.migrations
from models.database import APP_LABEL, config, migrate
from models.migrating import Migration

NAMES = sorted(path.stem for path in Path(str(models.migrations.__path__[0])).glob("[0-9]*.py"))


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


@pytest.mark.parametrize("name", NAMES)
def test_no_migration_is_of_the_slow_kind(name: str) -> None:
    assert issubclass(import_module(f"models.migrations.{name}").Migration, Migration)
