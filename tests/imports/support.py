"""Files to import."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]


def shared_data() -> Path:
    """Return the folder of the real files, which stands beside the repository; without it the test is skipped."""
    given = os.environ.get("YOUKA_SHARED_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real files are not beside this checkout; YOUKA_SHARED_DATA names their folder")
    return folder


def feature(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a good Feature; `changes` replace its members, or properties where they are named there."""
    properties = {
        "name": f"中国石化({number}号站)",
        "address": f"示例路{number}号",
        "district": "黄浦区",
        "city": "上海市",
        "province": "上海市",
    }
    made: dict[str, Any] = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [121.47, 31.23]},
        "properties": properties,
    }
    for name, value in changes.items():
        (properties if name in properties else made)[name] = value
    return made


def collection(*features: Any) -> str:
    """Return a file with one Feature per line, the first on line 3."""
    lines = ",\n".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in features)
    return f'{{"type": "FeatureCollection",\n"features": [\n{lines}\n]}}\n'


def zone(code: str = "default", name: str = "默认价区", **items: Any) -> dict[str, Any]:
    return {
        "zone_code": code,
        "zone_name": name,
        "items": {key.removeprefix("p"): value for key, value in items.items()},
    }


def province(code: str = "310000", name: str = "上海市", *zones: Any, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "province_code": code,
        "province_name": name,
        "sources": [
            {"name": "发改委", "url": "https://example.com/a"},
            {"name": "别处", "url": "https://example.com/b"},
        ],
        "zones": list(zones),
    }
    return {**made, **changes}


def notice(*provinces: Any, effective_from: Any = "2026-04-22T00:00:00+08:00", **changes: Any) -> str:
    made = {"effective_from": effective_from, "unit": "CNY/L", "provinces": list(provinces), **changes}
    return json.dumps(made, ensure_ascii=False, indent=1)


def write(folder: Path, text: str | bytes, name: str = "file.json") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    return path
