"""Makes the typed clients from partners' SDL and the documents: `python -m clients.codegen`.

`--check` fails where one is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from graphql import GraphQLSchema, build_schema

from clients.codegen import python, typescript
from clients.codegen.model import Operation, read

CLIENTS = Path(__file__).parent.parent
SDL_PATH = CLIENTS.parent / "schema" / "partner.graphql"
DOCUMENTS = CLIENTS / "documents"
PATTERN = "partner_*.graphql"
Writer = Callable[[GraphQLSchema, Sequence[Operation]], dict[str, str]]
TARGETS: dict[Path, Writer] = {
    CLIENTS / "python" / "generated": python.write,
    CLIENTS / "typescript" / "src" / "generated": typescript.write,
}


def main(arguments: Sequence[str], *, targets: Mapping[Path, Writer] | None = None, documents: Path = DOCUMENTS) -> int:
    schema = build_schema(SDL_PATH.read_text(encoding="utf-8"))
    operations = read(schema, sorted(documents.glob(PATTERN)))
    outdated = []
    for folder, write in (TARGETS if targets is None else targets).items():
        files = write(schema, operations)
        if "--check" in arguments:
            outdated += _differing(folder, files)
        else:
            _replace(folder, files)
    for path in outdated:
        print(f"{path} is out of date; run `make clients` and commit it")
    return 1 if outdated else 0


def _replace(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in _present(folder):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _differing(folder: Path, files: dict[str, str]) -> list[Path]:
    different = [
        folder / name
        for name, text in files.items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text
    ]
    return different + [path for path in _present(folder) if path.name not in files]


def _present(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if path.is_file()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
