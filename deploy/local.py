"""One command for one machine: migrate, load the demo data once, start the sandbox, the server and the worker."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from pathlib import Path

import httpx

from jobs.imports import load_demo_data
from kernel.logs import configure_logging
from kernel.settings import Settings, get_settings
from models.database import UNREACHABLE, connected, migrate, patient
from models.stations import Station

START_WITHIN_S = 20.0
STOP_WITHIN_S = 12.0
PROBE_INTERVAL_S = 0.05
PR_SET_PDEATHSIG = 1  # prctl(2)


class StartFailed(RuntimeError):
    """Something that everything else needs did not start; the message says what to do."""


async def prepare(settings: Settings) -> None:
    """Bring the database up to date; the demo data is loaded where there is no station yet. Raises StartFailed."""
    try:
        await migrate(settings.database)
        async with connected(settings.database, patient(settings)):
            if not await Station.exists():
                await load_demo_data()
    except UNREACHABLE as error:
        raise StartFailed(f"the database cannot be used: {error}") from error


def require_folder(folder: Path) -> None:
    """Raises StartFailed where nothing can be written into the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartFailed(f"DATA_DIR {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartFailed(f"DATA_DIR {folder} cannot be written to")


def require_free_port(host: str, port: int, name: str) -> None:
    """Raises StartFailed where somebody else listens already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartFailed(f"port {port} is in use; choose another with {name}=...") from error


def end_with_parent() -> None:
    """Have the kernel end this child with its parent, so that a killed runner leaves no port taken (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def spawn(module: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, start_new_session=True, preexec_fn=end_with_parent
    )


async def start(module: str, health_url: str) -> asyncio.subprocess.Process:
    """Start a process of ours and return once it is healthy. Raises StartFailed."""
    process = await spawn(module)
    deadline = time.monotonic() + START_WITHIN_S
    async with httpx.AsyncClient(trust_env=False, timeout=1.0) as client:
        while time.monotonic() < deadline:
            if process.returncode is not None:
                raise StartFailed(f"{module} ended with exit code {process.returncode}")
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(health_url)).is_success:
                    return process
            await asyncio.sleep(PROBE_INTERVAL_S)
    await stop(process)
    raise StartFailed(f"{module} did not become healthy within {START_WITHIN_S:.0f} s")


async def stop(process: asyncio.subprocess.Process) -> None:
    """Ask the process to end, and end it where it does not."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def welcome(settings: Settings, seconds: float) -> str:
    given = {"PORT": settings.port, "SANDBOX_PORT": settings.sandbox_port}
    fields = Settings.model_fields
    ports = "".join(f" {name}={port}" for name, port in given.items() if port != fields[name.lower()].default)
    rows = (
        ("GraphiQL", f"{settings.base_url}/graphql", ""),
        ("Sandbox", f"{settings.sandbox_url}/", "pay open orders here by hand"),
        ("Try it", f"make demo{ports}", "a recharge from sign-in to the arrival notice"),
        ("An own query", f"make token{ports}", "an access token for the header Authorization"),
        ("Data", str(settings.data_dir.resolve()), ""),
    )
    width = max(len(what) for _, what, meaning in rows if meaning)
    lines = "\n".join(f"    {name:<15} {what:<{width}}   {meaning}".rstrip() for name, what, meaning in rows)
    return f"""
  油卡 Youka is ready after {seconds:.1f} s.

{lines}

  Stop with Ctrl-C; the data stays.
"""


async def run(settings: Settings) -> int:
    """Run until a signal comes or one of the processes ends; return the exit code.

    The worker is a process of its own where the database is not embedded.
    """
    begun = time.monotonic()
    require_free_port(settings.host, settings.port, "PORT")
    require_free_port(settings.host, settings.sandbox_port, "SANDBOX_PORT")
    if settings.port == settings.sandbox_port:
        raise StartFailed(f"PORT and SANDBOX_PORT are both {settings.port}; choose another for one of them")
    require_folder(settings.data_dir)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        preparing = asyncio.create_task(prepare(settings))
        sandbox = await start("sandbox", f"{settings.sandbox_url}/healthz")
        stack.push_async_callback(stop, sandbox)
        await preparing
        server = await start("app", f"http://{settings.host}:{settings.port}/readyz")
        stack.push_async_callback(stop, server)
        processes = [sandbox, server]
        if not settings.runs_worker:
            processes.append(await spawn("jobs"))
            stack.push_async_callback(stop, processes[-1])
        print(welcome(settings, time.monotonic() - begun), flush=True)
        waits = [asyncio.create_task(wait()) for wait in (stopping.wait, *(each.wait for each in processes))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not stopping.is_set():
            print("a process ended by itself; stopping", file=sys.stderr)
        return 0 if stopping.is_set() else 1


def main() -> int:
    settings = get_settings()
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    if not settings.development:
        print("make run is for development; see README for production", file=sys.stderr)
        return 2
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        return asyncio.run(run(settings))
    except StartFailed as error:
        print(f"youka: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
