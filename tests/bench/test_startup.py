"""The benchmark of starting: a server of two lines is started, timed and stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import startup
from bench.processes import ServerFailed
from bench.subjects import Subject

SERVER = """
import os, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready).serve_forever()
"""


def test_a_server_is_timed_until_it_is_ready(tmp_path: Path) -> None:
    (tmp_path / "little_server.py").write_text(SERVER)
    started = startup.start(Subject("little", "little", "little_server"), {"PYTHONPATH": str(tmp_path)})
    assert started.cpu_s > 0
    assert started.seconds > 0
    assert 1 < started.peak_mib < 200


def test_one_that_does_not_start_is_no_measurement(tmp_path: Path) -> None:
    (tmp_path / "broken_server.py").write_text("raise SystemExit(3)")
    with pytest.raises(ServerFailed, match="exit code 3"):
        startup.start(Subject("broken", "broken", "broken_server"), {"PYTHONPATH": str(tmp_path)})


@pytest.mark.parametrize("rounds", ["0", "51"])
def test_no_rounds_or_too_many_are_refused(rounds: str) -> None:
    with pytest.raises(SystemExit):
        startup.main(["--rounds", rounds])
