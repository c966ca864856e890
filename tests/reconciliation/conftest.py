"""Where runs may put their files."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, which a run leaves empty again."""
    path = tmp_path / "work"
    path.mkdir()
    return path
