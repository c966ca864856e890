"""The viewer."""

from __future__ import annotations

from schema.types.context import Info
from schema.types.viewer import Viewer


async def viewer(info: Info) -> Viewer | None:
    row = await info.context.loaders.profiles.load(info.context.viewer) if info.context.viewer else None
    return Viewer.of(row) if row else None
