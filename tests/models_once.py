"""Tortoise's models are made ready for an engine once, not once for each database that a test opens.

Tortoise does it anew each time that it is opened, which takes 20 ms. What comes of it depends on the engine alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import pytest
from tortoise.apps import Apps
from tortoise.models import Model

# What `Apps._build_initial_querysets` writes that differs between engines.
OF_ENGINE = (
    "filters",
    "db_native_fields",
    "db_default_fields",
    "db_complex_fields",
    "basequery",
    "basequery_all_fields",
)

Ready = list[tuple[type[Model], dict[str, Any]]]


@contextmanager
def models_ready_once() -> Iterator[None]:
    build, ready = Apps._build_initial_querysets, dict[object, Ready]()

    def build_once(self: Apps) -> None:
        models = [model for app in self.apps.values() for model in app.values()]
        # The models of migrations are made for the occasion.
        if type(self) is not Apps or not models:
            build(self)
            return
        key = (models[0]._meta.db.query_class, *models)
        if key not in ready:
            for model in models:
                _write(model, _read(model))
            build(self)
            ready[key] = [(model, _read(model)) for model in models]
        for model, values in ready[key]:
            _write(model, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Apps, "_build_initial_querysets", build_once)
        yield


def _read(model: type[Model]) -> dict[str, Any]:
    return {name: copy(getattr(model._meta, name)) for name in OF_ENGINE}


def _write(model: type[Model], values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(model._meta, name, value)
