"""Documents that a request may name: trusted ones, and those that clients have sent before.

The latter are automatic persisted queries (https://www.apollographql.com/docs/apollo-server/performance/apq): a client
sends the SHA-256 of its document alone; where we do not know it, it sends both, and from then on the hash will do.
"""

from __future__ import annotations

import re
from typing import Protocol

from kernel.errors import YoukaError
from schema.extensions.trusted import PersistedQueryNotFound, TrustedDocuments, hash_of

DIGEST = re.compile(r"[0-9a-f]{64}")


class PersistedQueryNotSupported(YoukaError):
    """There is no place for documents that clients send; a client that hears this sends its documents whole."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"
    messages = {"zh-CN": "本服务不支持自动登记文档", "en": "Automatic persisted queries are not supported here"}


class Store(Protocol):
    """Texts by their hash, of which those unused for longest are forgotten."""

    async def get(self, digest: str) -> str | None: ...

    async def put(self, digest: str, text: str) -> None: ...


class Persisted:
    """Trusted documents first, and what is in the store where anything else may be executed at all."""

    def __init__(self, trusted: TrustedDocuments, store: Store | None, *, size_max_bytes: int) -> None:
        self._trusted, self._store, self._size_max_bytes = trusted, store, size_max_bytes

    def find_here(self, query: str | None, *, document_id: str | None, automatic: str | None) -> str | None:
        """Return the document to execute; None where the store has to be asked.

        Raises what TrustedDocuments raises, or PersistedQueryNotSupported where only the unknown hash was sent and
        sending the document with it would not help.
        """
        if query is not None and document_id is None and automatic is None and not self._trusted.only:
            return query
        ids = [each for each in (document_id, automatic) if each is not None]
        try:
            text = self._trusted.text_of(query, ids)
        except PersistedQueryNotFound:
            if automatic is None:
                raise
            if self._store is None or self._trusted.only:
                raise PersistedQueryNotSupported from None
            return None
        assert text is not None, "there is a document or an id"
        return text

    async def find(self, query: str | None, *, document_id: str | None, automatic: str | None) -> str:
        """As `find_here`, but for the store, which is asked. Raises PersistedQueryNotFound too."""
        text = self.find_here(query, document_id=document_id, automatic=automatic)
        if text is None:
            assert automatic is not None, "only such a document is in the store"
            text = await self._stored(automatic.lower())
        if text is None:
            raise PersistedQueryNotFound
        return text

    async def keep(self, text: str, *, automatic: str) -> None:
        """Know the document by its hash, which `find` has compared."""
        digest = automatic.lower()
        if self._store is None or self._trusted.only or digest in self._trusted:
            return
        if len(text.encode(errors="surrogatepass")) <= self._size_max_bytes:
            await self._store.put(digest, text)

    async def _stored(self, digest: str) -> str | None:
        assert self._store is not None
        text = await self._store.get(digest) if DIGEST.fullmatch(digest) else None
        # The store is shared, and what comes out of it is executed.
        return text if text is not None and hash_of(text) == digest else None
