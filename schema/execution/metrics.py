"""What is counted of documents and of the ways in which their operations are executed."""

from __future__ import annotations

from prometheus_client import Counter

_DOCUMENTS = Counter("youka_graphql_documents", "Documents by whether they were found in the cache or read.", ["from"])
DOCUMENTS_FOUND = _DOCUMENTS.labels("cache")
DOCUMENTS_READ = _DOCUMENTS.labels("text")
_OPERATIONS = Counter(
    "youka_graphql_operations", "Operations by what executed them, and why it was not a plan.", ["by", "reason"]
)
_FRAGMENTS = Counter(
    "youka_fragments_looked_up", "Objects of entities in answers, by whether they were kept as fragments.", ["result"]
)
FRAGMENTS_FOUND, FRAGMENTS_MISSED = (_FRAGMENTS.labels(each) for each in ("hit", "miss"))
EXECUTED_BY_PLAN = _OPERATIONS.labels("plan", "")


def executed_by_core(reason: str) -> None:
    """Count an operation that has no plan."""
    _OPERATIONS.labels("graphql-core", reason).inc()
