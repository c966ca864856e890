"""The SDL that was released last: one file in schema/released, named by its version."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

SCHEMA_FOLDER = Path(__file__).parent.parent
FOLDER = SCHEMA_FOLDER / "released"
CURRENT_PATH = SCHEMA_FOLDER / "schema.graphql"
PROJECT_PATH = SCHEMA_FOLDER.parent / "pyproject.toml"


class NotOneRelease(Exception):
    """There is no released SDL, or more than one."""


def released_path(folder: Path) -> Path:
    """Return the one file. Raises NotOneRelease."""
    paths = sorted(folder.glob("*.graphql"))
    if len(paths) != 1:
        raise NotOneRelease(f"{folder} must hold one SDL, and holds {len(paths)}")
    return paths[0]


def project_version() -> str:
    """Return the version of the project."""
    version: str = tomllib.loads(PROJECT_PATH.read_text(encoding="utf-8"))["project"]["version"]
    return version


def release(folder: Path, sdl: str, *, version: str, today: date) -> Path:
    """Put this SDL in the place of the one released before, and return its path."""
    path = folder / f"{version}.graphql"
    folder.mkdir(exist_ok=True)
    path.write_text(f"# Version {version}, released on {today.isoformat()}.\n\n{sdl}", encoding="utf-8")
    for other in folder.glob("*.graphql"):
        if other != path:
            other.unlink()
    return path
