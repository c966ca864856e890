"""Trusted documents: what our own clients ask, known by its SHA-256, so that a request may name it without sending it.

`python -m schema.extensions.trusted` writes schema/documents.json from clients/documents/*.graphql; `--check` fails
where it is out of date.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphql import GraphQLError, build_schema, parse, validate

from kernel.errors import YoukaError

SCHEMA_FOLDER = Path(__file__).parent.parent
PATH = SCHEMA_FOLDER / "documents.json"
SDL_PATH = SCHEMA_FOLDER / "schema.graphql"
SOURCES = SCHEMA_FOLDER.parent / "clients" / "documents"
# The prefix that the appendix on persisted documents gives to such an id
# (https://github.com/graphql/graphql-over-http/blob/main/spec/Appendix%20A%20--%20Persisted%20Documents.md).
PREFIX = "sha256:"


class PersistedQueryNotFound(YoukaError):
    code = "PERSISTED_QUERY_NOT_FOUND"
    messages = {"zh-CN": "没有这个已登记的文档", "en": "There is no persisted document with this id"}


class PersistedQueryMismatch(YoukaError):
    code = "PERSISTED_QUERY_MISMATCH"
    messages = {"zh-CN": "文档与其标识不符", "en": "The document is not the one that the id names"}


class DocumentNotTrusted(YoukaError):
    code = "DOCUMENT_NOT_TRUSTED"
    messages = {"zh-CN": "仅接受已登记的文档", "en": "Only persisted documents are executed here"}


class TrustedDocuments:
    """The documents by their SHA-256 in hexadecimal. With `only`, nothing else is executed."""

    def __init__(self, documents: Mapping[str, str], *, only: bool = False) -> None:
        self._documents, self.only = dict(documents), only

    @classmethod
    def read(cls, *, only: bool) -> TrustedDocuments:
        """Read the committed store."""
        return cls(json.loads(PATH.read_text(encoding="utf-8")), only=only)

    def __contains__(self, digest: str) -> bool:
        return digest in self._documents

    def text_of(self, query: str | None, ids: Sequence[str]) -> str | None:
        """Return the document to execute; None where the request has neither a text nor an id.

        Raises PersistedQueryNotFound, PersistedQueryMismatch (the ids, or an id and the text, are of different
        documents) or DocumentNotTrusted. A trusted document may also be sent as its whole text.
        """
        if query is None and not ids:
            return None
        hashes = {each.removeprefix(PREFIX).lower() for each in ids}
        if query is not None and (hashes or self.only):
            hashes.add(hash_of(query))
        if len(hashes) > 1:
            raise PersistedQueryMismatch
        known = self._documents.get(next(iter(hashes))) if hashes else None
        if known is None and self.only and query is not None:
            raise DocumentNotTrusted
        if known is None and query is None:
            raise PersistedQueryNotFound
        return query if query is not None else known


def hash_of(document: str) -> str:
    """Return the SHA-256 of the text in UTF-8, in hexadecimal; every character counts."""
    return hashlib.sha256(document.encode(errors="surrogatepass")).hexdigest()


def collect(folder: Path, sdl: str) -> dict[str, str]:
    """Return the documents of a folder by hash. Raises GraphQLError where one is not valid by the schema."""
    schema = build_schema(sdl)
    documents: dict[str, str] = {}
    for path in sorted(folder.glob("*.graphql")):
        text = path.read_text(encoding="utf-8")
        errors = validate(schema, parse(text))
        if errors:
            raise GraphQLError(f"{path.name}: {errors[0]}")
        documents[hash_of(text)] = text
    return documents


def main(arguments: list[str]) -> int:
    collected = collect(SOURCES, SDL_PATH.read_text(encoding="utf-8"))
    current = json.dumps(collected, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if "--check" not in arguments:
        PATH.write_text(current, encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text(encoding="utf-8") == current:
        return 0
    sys.stderr.write("schema/documents.json is out of date; run `make documents` and commit it\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
