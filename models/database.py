"""Opening the database, and the one way to run a transaction."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg
from tortoise import Tortoise
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext
from tortoise.transactions import in_transaction as tortoise_transaction

from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings, get_settings
from kernel.tasks import inside_transaction, spawn
from models import joining, partitions, reading

APP_LABEL = "models"
MODEL_MODULES = (
    "models.access",
    "models.cards",
    "models.events",
    "models.finance",
    "models.funds",
    "models.identity",
    "models.jobs",
    "models.ledger",
    "models.mandates",
    "models.messages",
    "models.offers",
    "models.orders",
    "models.organisations",
    "models.payments",
    "models.pricing",
    "models.reconciliation",
    "models.reviews",
    "models.sign_ins",
    "models.staff_actions",
    "models.stations",
    "models.step_up",
    "models.switches",
    "models.usage",
    "models.voice",
    "models.webhooks",
)

P = ParamSpec("P")
T = TypeVar("T")

log = get_logger(__name__)

_running: set[asyncio.Task[Any]] = set()
_callbacks: ContextVar[dict[Callable[[], None], None] | None] = ContextVar("after_commit", default=None)
_guard: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("guard", default=None)


class UnsupportedDatabase(ValueError):
    """The address names neither SQLite (`sqlite:///path`) nor PostgreSQL (`postgres://user@host/name`)."""


# Whoever has one has it for a single statement. Where what comes together is written together, two are enough.
ALONE_CONNECTIONS_MAX = 4
JOINED_ALONE_CONNECTIONS_MAX = 2

# What opening a database raises where its address, its password or its host is wrong.
UNREACHABLE = (UnsupportedDatabase, asyncpg.InvalidAuthorizationSpecificationError, OSError)

# The server gives a statement up a little before the client does, so that its word for that still arrives.
STATEMENT_SHARE = 0.8


def config(url: str, settings: Settings | None = None) -> dict[str, Any]:
    """Return Tortoise's configuration for an address. Raises UnsupportedDatabase."""
    settings = settings or get_settings()
    return {
        "connections": {"default": _connection(url, settings)},
        "apps": {APP_LABEL: {"models": list(MODEL_MODULES), "migrations": "models.migrations"}},
        "use_tz": True,
        "timezone": "UTC",
    }


def _connection(url: str, settings: Settings) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "engine": "models.engines.sqlite",
            "credentials": {
                "file_path": url.removeprefix("sqlite://"),
                "busy_timeout": settings.sqlite_busy_timeout_ms,
                "synchronous": "FULL",
            },
        }
    if parts.scheme in {"postgres", "postgresql"}:
        options: dict[str, Any] = dict(parse_qsl(parts.query))
        reading, alone = reading_connections(settings), alone_connections(settings)
        statement_timeout_ms = str(int(settings.database_command_timeout_s * STATEMENT_SHARE * 1_000))
        return {
            "engine": "models.engines.postgres",
            "credentials": {
                "host": options.pop("host", None) or parts.hostname or "127.0.0.1",
                "port": parts.port or 5432,
                "user": unquote(parts.username or "postgres"),
                "password": unquote(parts.password) if parts.password else None,
                "database": parts.path.lstrip("/"),
                "minsize": 1,
                "maxsize": settings.database_pool_size_max - reading - alone,
                "plain_size_max": reading,
                "alone_size_max": alone,
                # Without these a lost packet hangs a request, and the shutdown, for good.
                "command_timeout": settings.database_command_timeout_s,
                "timeout": settings.database_connect_timeout_s,
                "acquire_timeout": settings.database_acquire_timeout_s,
                # Nor may the server wait for a client whose packets are lost: it would keep its rows locked meanwhile.
                "server_settings": {
                    "statement_timeout": statement_timeout_ms,
                    "idle_in_transaction_session_timeout": statement_timeout_ms,
                },
                **options,
            },
        }
    raise UnsupportedDatabase(f"DATABASE_URL has the unsupported scheme {parts.scheme!r}")


def reading_connections(settings: Settings) -> int:
    """Return how many of the connections to PostgreSQL are for reading alone: never more than five of twelve.

    Where that is none, everybody takes theirs from the pool.
    """
    return min(settings.database_reading_connections_max, settings.database_pool_size_max * 5 // 12)


def alone_connections(settings: Settings) -> int:
    """Return how many of the connections to PostgreSQL are for statements that are transactions by themselves."""
    most = JOINED_ALONE_CONNECTIONS_MAX if settings.joined_loads else ALONE_CONNECTIONS_MAX
    return min(most, settings.database_pool_size_max * most // 10)


async def migrate(url: str) -> None:
    """Create or update the tables at the address, and the ledger's months; running it again changes nothing."""
    from tortoise.migrations.api.migrate import migrate as migrate_with_config  # noqa: PLC0415 -- a server does not.

    settings = patient(get_settings())
    configuration = config(url, settings)
    if url.startswith("sqlite"):
        path = Path(configuration["connections"]["default"]["credentials"]["file_path"])
        path.parent.mkdir(parents=True, exist_ok=True)
    async with TortoiseContext():
        try:
            await migrate_with_config(config=configuration)
            prepare = transactional(partitions.prepare)
            await prepare(now=utc_now(), months_ahead=settings.ledger_partitions_ahead_months)
        finally:
            await Tortoise.close_connections()


async def pending_migrations() -> list[str]:
    """Return the names of the migrations that the open database has not seen yet, in their order."""
    from tortoise.migrations.recorder import MigrationRecorder  # noqa: PLC0415 -- a server does not migrate.

    rows = await MigrationRecorder(Tortoise.get_connection("default")).applied_migrations()
    applied = {key.name for key in rows}
    found = (path.stem for path in (Path(__file__).parent / "migrations").glob("[0-9]*.py"))
    return sorted(name for name in found if name not in applied)


def patient(settings: Settings) -> Settings:
    """Return the settings for a command that may keep the database busy, such as a migration or an audit."""
    return settings.model_copy(update={"database_command_timeout_s": settings.database_long_command_timeout_s})


@asynccontextmanager
async def connected(url: str, settings: Settings | None = None) -> AsyncIterator[None]:
    """Hold the process's connections to the database; on the way out running transactions are finished first."""
    # The statements kept here are in the dialect of the database that was open before.
    EXECUTOR_CACHE.clear()
    await Tortoise.init(config=config(url, settings), _enable_global_fallback=True)
    client = Tortoise.get_connection("default")
    try:
        with reading.by(getattr(client, "read_only", None), getattr(client, "writing_alone", None)):
            yield
    finally:
        await drain()
        await Tortoise.close_connections()


async def drain() -> None:
    """Wait for the transactions whose callers were cancelled, and for the reads that are under way."""
    while _running:
        await asyncio.wait(set(_running))
    await joining.drain()


def dialect() -> str:
    """Return `sqlite` or `postgres` for the open database."""
    return str(Tortoise.get_connection("default").capabilities.dialect)


def after_commit(callback: Callable[[], None]) -> None:
    """Call back once when the current transaction has committed; never where it is rolled back.

    However often one transaction names a callback, it runs once. What it raises is logged, since the commit stands.
    Raises RuntimeError outside a transaction.
    """
    callbacks = _callbacks.get()
    if callbacks is None:
        raise RuntimeError("there is no transaction to wait for")
    callbacks[callback] = None


@contextmanager
def guarded(guard: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Let every transaction that begins in this context call the guard first; what it raises rolls back and comes out.

    So a worker that has lost its lease cannot write, whatever its handler still tries.
    """
    token = _guard.set(guard)
    try:
        yield
    finally:
        _guard.reset(token)


def is_guarded() -> bool:
    """Say whether a transaction that begins in this context has to call a guard."""
    return _guard.get() is not None


def transactional(work: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Run each call as one transaction, in a task of its own that a cancelled caller cannot interrupt.

    A request that is cancelled while its transaction begins or commits would leave the connection locked (SQLite) or
    idle in transaction (PostgreSQL). Shielding the task means the transaction always reaches commit or rollback; the
    cancelled caller just does not see which. Inside a transaction a call joins it.
    """

    @functools.wraps(work)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if inside_transaction.get():
            return await work(*args, **kwargs)

        async def whole() -> T:
            callbacks: dict[Callable[[], None], None] = {}
            _callbacks.set(callbacks)
            inside_transaction.set(True)
            guard = _guard.get()
            async with tortoise_transaction():
                if guard is not None:
                    await guard()
                result = await work(*args, **kwargs)
            inside_transaction.set(False)
            _callbacks.set(None)
            _call(callbacks)
            return result

        return await to_its_end(whole(), name=f"transaction:{work.__qualname__}")

    return run


async def to_its_end(work: Coroutine[Any, Any, T], *, name: str) -> T:
    """Await the work in a task of its own, which a cancelled caller does not interrupt and `drain` waits for."""
    task = spawn(work, name=name)
    _running.add(task)
    task.add_done_callback(_finished)
    return await asyncio.shield(task)


def _call(callbacks: Iterable[Callable[[], None]]) -> None:
    for callback in callbacks:
        try:
            callback()
        except Exception:
            log.exception("database.after_commit_failed", callback=getattr(callback, "__qualname__", "?"))


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        # Reading the error marks it as seen where the caller was cancelled and nobody else will.
        task.exception()


def main() -> int:
    try:
        asyncio.run(migrate(sys.argv[1] if len(sys.argv) > 1 else get_settings().database))
    except UNREACHABLE as error:
        sys.stderr.write(f"youka: the database cannot be used: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
