"""Migrations that keep a picture of the past only for operations that look back, and that ask no model."""

from __future__ import annotations

from collections.abc import Sequence

from tortoise import migrations
from tortoise.migrations.operations import AddField, CreateModel, Operation, RunSQL
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state import State
from tortoise.migrations.schema_generator.state_apps import StateApps

from models.operations import Redescribe, Statements

# Going forward, these read the state that they lead to, and never the one before.
FORWARD_ONLY = (Statements, CreateModel, AddField, Redescribe, RunSQL)


class Unasked(StateApps):
    """Models that say what their tables look like and cannot be queried: our migrations speak SQL.

    The ORM's own make every model ready for queries anew whenever one of them changes, which is most of the work.
    """

    @classmethod
    def of(cls, apps: StateApps) -> Unasked:
        """Return the same models; what happens to them from now on happens here."""
        if isinstance(apps, cls):
            return apps
        unasked = cls(apps._default_connections, apps._connections)
        unasked.apps = apps.apps
        return unasked

    def _build_initial_querysets(self) -> None:
        for app in self.apps.values():
            for model in app.values():
                if model._meta._inited:
                    model._meta.finalise_fields()
                    model._meta._resolve_index_expressions()


class Sparing(State):
    """A state that is copied only for operations that look back: a copy renders every model anew, which takes 50 ms."""

    def __init__(self, state: State, operations: Sequence[Operation]) -> None:
        super().__init__(state.models, Unasked.of(state.apps))
        # The ORM asks for a copy before each operation, in their order.
        self._operations = iter(operations)

    def clone(self) -> State:
        if isinstance(next(self._operations), FORWARD_ONLY):
            return self
        return State(self.models, self.apps).clone()


class Migration(migrations.Migration):
    async def apply(
        self,
        state: State,
        *,
        dry_run: bool = False,
        schema_editor: BaseSchemaEditor | None = None,
        collect_sql: bool = False,
    ) -> State:
        reached = await super().apply(
            Sparing(state, self.operations),
            dry_run=dry_run,
            schema_editor=schema_editor,
            collect_sql=collect_sql,
        )
        return State(reached.models, reached.apps)
