"""Everything that runs in a storm: database, Redis, sandbox, servers and workers, all of them real processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bench.databases import DURABLE
from bench.processes import HOST, Process, answers
from bench.storm.options import Options
from bench.storm.proxy import Proxy
from models.database import migrate
from sandbox.keys import load_or_create
from tests.services import PostgresFiles, Service, find_free_port, start_redis

RUN_LIFETIME_S = 86_400
LIMITLESS = 10**12
# Long enough for whoever pays under a storm, short enough to see what nobody paid expire within the run.
PAYMENT_DEADLINE_S = 120
# The tests' servers never vacuum; the job table of a storm needs it as that of a service does.
POSTGRES_SETTINGS = {**DURABLE, "autovacuum": "on"}


class Postgres:
    """A PostgreSQL that keeps its promises, and can be made to restart as after a crash."""

    def __init__(self, files: PostgresFiles) -> None:
        self._files = files
        self._service: Service | None = None

    @property
    def url(self) -> str:
        return self._files.url

    @property
    def port(self) -> int:
        return self._files.port

    def start(self) -> None:
        self._service = self._files.start(POSTGRES_SETTINGS)

    def stop_immediately(self) -> None:
        self._files.stop_immediately()
        self.stop()

    def stop(self) -> None:
        service, self._service = self._service, None
        if service is not None:
            service.stop()


@dataclass(frozen=True, slots=True)
class House:
    """`url` leads straight to the database, `environment` is that of any command beside the servers.

    With the embedded database the first server is the worker too, unless there is one of its own.
    """

    engine: str
    url: str
    environment: dict[str, str]
    servers: tuple[Process, ...]
    server_ports: tuple[int, ...]
    workers: tuple[Process, ...]
    sandbox_port: int
    sandbox_records: Path
    postgres: Postgres | None
    proxy: Proxy | None

    @property
    def server_urls(self) -> tuple[str, ...]:
        return tuple(f"http://{HOST}:{port}" for port in self.server_ports)

    @property
    def sandbox_url(self) -> str:
        return f"http://{HOST}:{self.sandbox_port}"


@asynccontextmanager
async def opened(options: Options, engine: str, folder: Path) -> AsyncIterator[House]:
    """Start the house below the folder; leaving stops all of it.

    Raises ServerFailed, services.ServiceFailed or services.ServiceUnavailable.
    """
    async with AsyncExitStack() as stack:
        house = await _build(stack, options, engine, folder)
        await migrate(house.url)
        for process in (*house.servers, *house.workers):
            process.start()
        for process, port in zip(house.servers, house.server_ports, strict=True):
            await asyncio.to_thread(process.wait_until, partial(answers, port, "/readyz"))
        yield house


async def _build(stack: AsyncExitStack, options: Options, engine: str, folder: Path) -> House:
    environment = _environment(folder)
    postgres, proxy, url = None, None, f"sqlite://{folder / 'youka.db'}"
    environment["DATABASE_URL"] = url
    if engine == "postgres":
        postgres = await asyncio.to_thread(stack.enter_context, _postgres())
        url = environment["DATABASE_URL"] = postgres.url
        if options.faults:
            proxy = Proxy(find_free_port(), postgres.port)
            await proxy.listen()
            stack.push_async_callback(proxy.close)
            environment["DATABASE_URL"] = _with_port(url, proxy.port)
        redis = await asyncio.to_thread(start_redis)
        stack.callback(redis.stop)
        environment["REDIS_URL"] = redis.url
    sandbox_port, *ports = (find_free_port() for _ in range(1 + (options.servers if postgres else 1)))
    workers = options.workers if postgres else int(options.separate_worker)
    environment |= {
        "SANDBOX_PORT": str(sandbox_port),
        # Callbacks have one address, as behind a balancer: a payment that is prepaid again must name the same one.
        "YOUKA_PUBLIC_URL": f"http://{HOST}:{ports[0]}",
        "YOUKA_WORKER_IN_SERVER": str(workers == 0).lower(),
    }

    def process(name: str, module: str, **more: str) -> Process:
        log = stack.enter_context((folder / f"{name}.log").open("w+b"))
        made = Process(name, module, {**environment, **more}, log)
        # In a thread, because what it has to finish goes through the proxy of this one.
        stack.push_async_callback(asyncio.to_thread, made.stop)
        return made

    load_or_create(folder / "sandbox" / "keys")
    sandbox = process("sandbox", "sandbox")
    sandbox.start()
    await asyncio.to_thread(sandbox.wait_until, partial(answers, sandbox_port, "/healthz"))
    return House(
        engine=engine,
        url=url,
        environment={**environment, "DATABASE_URL": url},
        servers=tuple(process(f"server-{number}", "app", PORT=str(port)) for number, port in enumerate(ports, 1)),
        server_ports=tuple(ports),
        workers=tuple(process(f"worker-{number}", "jobs") for number in range(1, workers + 1)),
        sandbox_port=sandbox_port,
        sandbox_records=folder / "sandbox" / "sandbox.db",
        postgres=postgres,
        proxy=proxy,
    )


def _environment(folder: Path) -> dict[str, str]:
    """Return the settings of every process. Those of recovery are the product's own; only limits are out of the way."""
    foreign = {"PORT", "SANDBOX_PORT", "DATA_DIR", "DATABASE_URL", "REDIS_URL", "PYTHONDONTWRITEBYTECODE"}
    own = {name: value for name, value in os.environ.items() if not name.startswith("YOUKA_") and name not in foreign}
    return {
        # A process that compiled its modules at each start would not be back in time, and a service's never does.
        "PYTHONPYCACHEPREFIX": str(Path(sys.prefix) / "pycache"),
        **own,
        "DATA_DIR": str(folder),
        "YOUKA_LOG_LEVEL": "WARNING",
        "YOUKA_LOG_FORMAT": "json",
        "YOUKA_TOKEN_LIFETIME_S": str(RUN_LIFETIME_S),
        # Users sign in at one server and ask all of them, whatever their ports are.
        "YOUKA_TOKEN_ISSUER": "youka-storm",
        "YOUKA_PAYMENT_DEADLINE_S": str(PAYMENT_DEADLINE_S),
        "YOUKA_RECHARGE_DAILY_MAX_FEN": str(LIMITLESS),
        "YOUKA_UNPAID_ORDERS_PER_USER_MAX": str(LIMITLESS),
        "YOUKA_RATE_LIMIT_FACTOR": "1000000",
    }


@contextmanager
def _postgres() -> Iterator[Postgres]:
    # Below the system's own folder: the account that runs the server cannot reach into anybody else's.
    folder = Path(tempfile.mkdtemp(prefix="youka-storm-"))
    try:
        postgres = Postgres(PostgresFiles.create(folder))
        postgres.start()
        try:
            yield postgres
        finally:
            postgres.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    user, _, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}@{HOST}:{port}"))
