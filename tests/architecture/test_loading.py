"""What a server loads: the collector rests meanwhile and runs afterwards, and what is seldom needed is left out."""

from __future__ import annotations

import os
import subprocess
import sys

LOADED = "import app, gc, sys; print(gc.isenabled(), *sorted(sys.modules))"
SELDOM = {"authlib", "opentelemetry.sdk", "pygments", "rich", "segno", "watchfiles"}


def test_a_server_leaves_out_what_it_seldom_needs_and_collects_again() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOADED], env=os.environ, capture_output=True, text=True, check=True, timeout=120
    )
    collects, *modules = ended.stdout.split()
    assert collects == "True"
    assert {"app", "kernel.collector"} <= set(modules)
    assert not SELDOM & set(modules)
