"""The documents that the small schema's server knows from the start, and where those are kept that clients send."""

from __future__ import annotations

from kernel.settings import Settings
from schema.extensions.persisted import Persisted, Store
from schema.extensions.persisted_stores import MemoryStore
from schema.extensions.trusted import TrustedDocuments, hash_of

TRUSTED = "subscription Trusted($to: Int!) { ticks(to: $to) }"
TRUSTED_QUERY = "query Trusted { hello }"
DOCUMENTS = {hash_of(text): text for text in (TRUSTED, TRUSTED_QUERY)}


def documents_of(settings: Settings, store: Store | None = None) -> Persisted:
    size_max_bytes = settings.persisted_queries_size_max_bytes
    return Persisted(
        TrustedDocuments(DOCUMENTS, only=settings.trusted_documents_only),
        store or (MemoryStore(size_max_bytes=size_max_bytes) if size_max_bytes else None),
        size_max_bytes=settings.persisted_query_size_max_bytes,
    )
