"""What a server loads: the collector rests meanwhile and runs afterwards, and what is seldom needed is left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

from kernel.collector import PASSED_ON

LOAD = """
import app, gc, json, sys
from kernel.hiding import is_nothing
given = [
    (name, what)
    for name, module in sys.modules.items()
    for what, value in (vars(module).items() if hasattr(module, "__dict__") else ())
    if is_nothing(value)
]
print(json.dumps({"collects": gc.isenabled(), "modules": list(sys.modules), "given": given}))
"""
SELDOM = {
    "authlib",
    "click",
    "multiprocessing",
    "opentelemetry.metrics",
    "opentelemetry.sdk",
    "pygments",
    "rich",
    "segno",
    "tortoise.migrations",
    "watchfiles",
    *PASSED_ON,
}


@cache
def server() -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-c", LOAD], env=os.environ, capture_output=True, text=True, check=True, timeout=120
    )
    return dict(json.loads(ended.stdout))


def test_a_server_leaves_out_what_it_seldom_needs_and_collects_again() -> None:
    assert server()["collects"]
    assert {"app", "kernel.collector"} <= set(server()["modules"])
    assert SELDOM & set(server()["modules"]) == set()


def test_what_stands_in_for_modules_is_with_libraries_that_pass_it_on_and_with_nobody_else() -> None:
    by = {module.partition(".")[0] for module, _ in server()["given"]}
    assert by == {"html", "prometheus_client", "pydantic_settings", "redis", "strawberry", "uvicorn"}
    # What the house has of them is all there.
    assert ("uvicorn", "Config") not in map(tuple, server()["given"])
    assert ("redis.asyncio", "Redis") not in map(tuple, server()["given"])


def said(code: str) -> str:
    """Return what a process of its own prints that runs this."""
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True, timeout=120
    ).stdout


def test_each_module_that_something_stands_in_for_is_one_that_would_be_loaded() -> None:
    loaded = said("import kernel.collector as c; c._meanwhile.close(); import app, sys; print(*sys.modules)").split()
    assert set(PASSED_ON) <= set(loaded)


def test_a_cluster_is_loaded_where_there_is_one() -> None:
    module = said(
        "import app; from kernel.pubsub import cluster; print(type(cluster('redis://127.0.0.1:1')).__module__)"
    )
    assert module.strip() == "redis.asyncio.cluster"
