"""A sandbox of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox_fixtures import Sandbox


@pytest.fixture
def own_sandbox(tmp_path: Path, free_port: int) -> Iterator[Sandbox]:
    """A sandbox that the test may stop."""
    sandbox = Sandbox(tmp_path, free_port)
    sandbox.start()
    yield sandbox
    sandbox.close()
