"""Migration operations for what the ORM does not create: CHECKs, append-only tables and partial indexes."""

from __future__ import annotations

from typing import Any

from tortoise.fields.base import Field
from tortoise.migrations.operations import AddField, AlterField, CreateModel, TortoiseOperation
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state import State


class Statements(TortoiseOperation):
    """Statements in the words of each dialect, run one by one inside the migration."""

    reduces_to_sql = False
    reversible = False

    def for_dialect(self, dialect: str) -> list[str]:
        raise NotImplementedError

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        if state_editor is not None:
            await _run(state_editor, self.for_dialect(state_editor.client.capabilities.dialect))


async def _run(state_editor: BaseSchemaEditor, statements: list[str]) -> None:
    for statement in statements:
        if state_editor.collect_sql:
            state_editor.collected_sql.append(statement)
        else:
            # The editor's own runner splits scripts at semicolons, which would cut a trigger's body in two.
            await state_editor.client.execute_query(statement)


class Sql(Statements):
    """Literal statements, where each dialect needs its own."""

    def __init__(self, description: str, *, postgres: list[str], sqlite: list[str]) -> None:
        self.description, self.postgres, self.sqlite = description, postgres, sqlite

    def describe(self) -> str:
        return self.description

    def for_dialect(self, dialect: str) -> list[str]:
        return self.postgres if dialect == "postgres" else self.sqlite


class CreateLiterally(CreateModel):
    """A model whose table has what the ORM cannot say, such as partitions; each dialect has its own statements."""

    def __init__(
        self,
        name: str,
        fields: Any,
        options: dict[str, Any],
        bases: list[str],
        *,
        postgres: list[str],
        sqlite: list[str],
    ) -> None:
        super().__init__(name, fields, options, bases)
        self.statements = {"postgres": postgres, "sqlite": sqlite}

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        if state_editor is not None:
            await _run(state_editor, self.statements[state_editor.client.capabilities.dialect])


class AddRequired(AddField):
    """A column that is never empty, on a table that may hold rows already: `value` is the SQL of what they get.

    SQLite can add such a column only with a default, which the ORM never uses because it names every column.
    """

    def __init__(self, model_name: str, name: str, field: Field[Any], *, value: str) -> None:
        super().__init__(model_name, name, field)
        self.value = value

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        if state_editor is None:
            return
        model = new_state.apps.get_model(f"{app_label}.{self.model_name}")
        table, column = model._meta.db_table, self.name
        dialect = state_editor.client.capabilities.dialect
        kind = model._meta.fields_map[self.name].get_for_dialect(dialect, "SQL_TYPE")
        if dialect == "postgres":
            statements = [
                f'ALTER TABLE "{table}" ADD COLUMN "{column}" {kind}',
                f'UPDATE "{table}" SET "{column}" = {self.value}',  # noqa: S608 -- a literal of a migration.
                f'ALTER TABLE "{table}" ALTER COLUMN "{column}" SET NOT NULL',
            ]
        else:
            statements = [
                f'ALTER TABLE "{table}" ADD COLUMN "{column}" {kind} NOT NULL DEFAULT \'\'',
                f'UPDATE "{table}" SET "{column}" = {self.value}',  # noqa: S608 -- a literal of a migration.
            ]
        await _run(state_editor, statements)


class Redescribe(AlterField):
    """A field whose description alone has changed, such as an enum with one more word; the table stays as it is."""

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        return


class Check(Statements):
    """A condition that every row meets.

    PostgreSQL gets a constraint. SQLite can only add one by rebuilding the table, which loses its unique indexes, so
    there two triggers refuse what the condition does not allow. `sqlite` is the condition in its words, where those
    differ: PostgreSQL reads a condition anew for each statement, so on a busy table it is worth being short.
    """

    def __init__(self, table: str, name: str, condition: str, *, sqlite: str = "") -> None:
        self.table, self.name, self.condition = table, name, condition
        self.sqlite = sqlite or condition

    def describe(self) -> str:
        return f"check {self.name} on {self.table}: {self.condition}"

    def for_dialect(self, dialect: str) -> list[str]:
        if dialect == "postgres":
            return [f'ALTER TABLE "{self.table}" ADD CONSTRAINT "{self.name}" CHECK ({self.condition})']
        return [
            # Names and conditions are literals of migrations, never input.
            f'CREATE TRIGGER "{self.name}_{event.lower()}" AFTER {event} ON "{self.table}" '  # noqa: S608
            f'WHEN NOT EXISTS (SELECT 1 FROM "{self.table}" WHERE rowid = NEW.rowid AND ({self.sqlite})) '
            f"BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: {self.name}'); END"
            for event in ("INSERT", "UPDATE")
        ]


class DropCheck(Statements):
    """Give up a condition that `Check` made."""

    def __init__(self, table: str, name: str) -> None:
        self.table, self.name = table, name

    def describe(self) -> str:
        return f"no check {self.name} on {self.table}"

    def for_dialect(self, dialect: str) -> list[str]:
        if dialect == "postgres":
            return [f'ALTER TABLE "{self.table}" DROP CONSTRAINT "{self.name}"']
        return [f'DROP TRIGGER "{self.name}_{event}"' for event in ("insert", "update")]


class AppendOnly(Statements):
    """A table whose rows are never changed and never removed."""

    def __init__(self, table: str) -> None:
        self.table = table

    def describe(self) -> str:
        return f"{self.table} is append-only"

    def for_dialect(self, dialect: str) -> list[str]:
        if dialect == "postgres":
            return [
                "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME "
                "USING ERRCODE = 'integrity_constraint_violation'; END $$",
                f'CREATE TRIGGER "{self.table}_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "{self.table}" '
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
            ]
        return [
            f'CREATE TRIGGER "{self.table}_no_{event.lower()}" BEFORE {event} ON "{self.table}" '
            f"BEGIN SELECT RAISE(ABORT, '{self.table} is append-only'); END"
            for event in ("UPDATE", "DELETE")
        ]


class DropAppendOnly(Statements):
    """Let a migration fill a new column of an append-only table; `AppendOnly` follows in the same migration."""

    def __init__(self, table: str) -> None:
        self.table = table

    def describe(self) -> str:
        return f"{self.table} can be changed"

    def for_dialect(self, dialect: str) -> list[str]:
        if dialect == "postgres":
            return [f'DROP TRIGGER "{self.table}_append_only" ON "{self.table}"']
        return [f'DROP TRIGGER "{self.table}_no_{event}"' for event in ("update", "delete")]


class AppendOnlyRows(Statements):
    """What `AppendOnly` leaves open, for tables that must be safe against raw SQL as well.

    PostgreSQL fires a statement's trigger only for the table that the statement names, so a partition is guarded by
    triggers on its rows, which it inherits. SQLite's REPLACE removes a row without firing its triggers, so a row under
    a key that exists is refused before that; the words are those of the key itself.
    """

    def __init__(self, table: str, *keys: str) -> None:
        self.table, self.keys = table, keys

    def describe(self) -> str:
        return f"rows of {self.table} are append-only"

    def for_dialect(self, dialect: str) -> list[str]:
        if dialect == "postgres":
            return [
                f'CREATE TRIGGER "{self.table}_rows_append_only" BEFORE UPDATE OR DELETE ON "{self.table}" '
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            ]
        return [
            f'CREATE TRIGGER "{self.table}_no_replace_{number}" BEFORE INSERT ON "{self.table}" WHEN EXISTS '  # noqa: S608
            f'(SELECT 1 FROM "{self.table}" WHERE {self._same(key)}) BEGIN SELECT RAISE(ABORT, '
            f"'UNIQUE constraint failed: {self.table}.{key}'); END"
            for number, key in enumerate(self.keys)
        ]

    @staticmethod
    def _same(key: str) -> str:
        return " AND ".join(f'"{column}" = NEW."{column}"' for column in key.split(", "))


class AppendOnlyFor(Statements):
    """A table whose rows are never changed, and never removed before they are so many days old.

    The database's own clock says how old, so that no program can forget sooner than this, whatever it is set to.
    SQLite's REPLACE removes a row without firing its triggers, so a row under an id that exists is refused before that.
    """

    def __init__(self, table: str, *, column: str, days: int) -> None:
        self.table, self.column, self.days = table, column, days

    def describe(self) -> str:
        return f"{self.table} is append-only, and kept for {self.days} days at least"

    def for_dialect(self, dialect: str) -> list[str]:
        table, column, days = self.table, self.column, self.days
        if dialect == "postgres":
            return [
                f"CREATE FUNCTION {table}_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF TG_OP = 'DELETE' THEN IF OLD.{column} < now() - interval '{days} days' THEN RETURN OLD; END IF; "
                "END IF; RAISE EXCEPTION '% is append-only', TG_TABLE_NAME "
                "USING ERRCODE = 'integrity_constraint_violation'; END $$",
                f'CREATE TRIGGER "{table}_append_only" BEFORE UPDATE OR DELETE ON "{table}" '
                f"FOR EACH ROW EXECUTE FUNCTION {table}_refuse_change()",
                f'CREATE TRIGGER "{table}_no_truncate" BEFORE TRUNCATE ON "{table}" '
                f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse_change()",
            ]
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        return [
            f'CREATE TRIGGER "{table}_no_update" BEFORE UPDATE ON "{table}" {refuse}',
            f'CREATE TRIGGER "{table}_no_delete" BEFORE DELETE ON "{table}" '
            f"WHEN OLD.{column} >= datetime('now', '-{days} days') {refuse}",
            f'CREATE TRIGGER "{table}_no_replace" BEFORE INSERT ON "{table}" WHEN EXISTS '  # noqa: S608 -- literals.
            f'(SELECT 1 FROM "{table}" WHERE "id" = NEW."id") {refuse}',
        ]


class PartialIndex(Statements):
    """An index over the rows that meet a condition."""

    def __init__(self, table: str, name: str, columns: str, condition: str, *, unique: bool = False) -> None:
        self.table, self.name, self.columns = table, name, columns
        self.condition, self.unique = condition, unique

    def describe(self) -> str:
        return f"index {self.name} on {self.table} where {self.condition}"

    def for_dialect(self, dialect: str) -> list[str]:
        kind = "UNIQUE INDEX" if self.unique else "INDEX"
        where = f" WHERE {self.condition}" if self.condition else ""
        return [f'CREATE {kind} "{self.name}" ON "{self.table}" ({self.columns}){where}']
