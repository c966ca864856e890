"""Documents, and what is known of one by its text alone: it is found out once, and kept in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode

from schema.execution import metrics

T = TypeVar("T")

# What is kept of a document takes so much, measured; its nodes are counted by its tokens, and letters may be wide.
BYTES_PER_DOCUMENT = 4_096
BYTES_PER_TOKEN = 550
BYTES_PER_LETTER = 4
BYTES_PER_ERROR = 2_048
# A document beyond this part of the cache would drive out too many others.
SHARE_MAX = 8


class Document:
    """One document of one schema.

    `refusal` says why it was not read at all: it does not parse, or is over a limit; then there is no `node`. `errors`
    are those of validation. What else is known of it is kept in parts, each found out when it is first asked for.
    """

    __slots__ = ("_grown", "_parts", "errors", "node", "operations", "refusal", "size_bytes", "text")

    def __init__(
        self,
        text: str,
        node: DocumentNode | None,
        *,
        errors: Sequence[GraphQLError] = (),
        refusal: GraphQLError | None = None,
    ) -> None:
        assert (node is None) == (refusal is not None), "a document is read or refused"
        self.text, self.node, self.errors, self.refusal = text, node, tuple(errors), refusal
        self.operations = tuple(each for each in _definitions(node) if isinstance(each, OperationDefinitionNode))
        self.size_bytes = (
            BYTES_PER_DOCUMENT
            + BYTES_PER_TOKEN * _tokens(node)
            + BYTES_PER_LETTER * len(text)
            + BYTES_PER_ERROR * (len(self.errors) + (refusal is not None))
        )
        self._parts: dict[object, Any] = {}
        self._grown: Callable[[Document, int], None] | None = None

    @property
    def valid(self) -> bool:
        return self.node is not None and not self.errors

    def part(self, name: object, find_out: Callable[[DocumentNode], T], *, size_bytes: int = 0) -> T:
        """Return what is known of the document under this name, and find it out where nobody has asked before.

        `size_bytes` is what it takes to keep.
        """
        if name in self._parts:
            found: T = self._parts[name]
            return found
        assert self.node is not None, "of a refused document nothing else is known"
        found = self._parts[name] = find_out(self.node)
        self.grow(size_bytes)
        return found

    def grow(self, size_bytes: int) -> None:
        """Take note that what is kept of the document has grown, or shrunk where this is negative."""
        self.size_bytes += size_bytes
        if self._grown:
            self._grown(self, size_bytes)

    def kept_by(self, grown: Callable[[Document, int], None] | None) -> None:
        """Tell whoever keeps the document of its growth from now on."""
        self._grown = grown


class _Shelf:
    """Documents by their text, those used last at the end, of no more bytes than there is room for."""

    def __init__(self, size_max_bytes: int) -> None:
        self.documents: OrderedDict[str, Document] = OrderedDict()
        self.size_bytes = 0
        self._size_max_bytes = size_max_bytes

    def keep(self, document: Document) -> None:
        if document.size_bytes * SHARE_MAX > self._size_max_bytes:
            return
        self.documents[document.text] = document
        document.kept_by(self._grown)
        self._grown(document, document.size_bytes)

    def _grown(self, document: Document, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        while self.size_bytes > self._size_max_bytes:
            _, forgotten = self.documents.popitem(last=False)
            forgotten.kept_by(None)
            self.size_bytes -= forgotten.size_bytes


class OperationCache:
    """The documents used last, by their text. It belongs to one schema, since that is what they are valid for.

    The text of a trusted document is one object of the process, whose hash Python keeps: a request that names it by its
    SHA-256 finds it here without looking at its letters. Reading never waits for anything, so that of many requests for
    a document that is not here yet, the first has read it before the second begins.

    What cannot be executed is kept apart, in an eighth of the room: whoever sends nonsense drives out only nonsense.
    """

    def __init__(
        self,
        read: Callable[[str], DocumentNode],
        validate: Callable[[DocumentNode], Sequence[GraphQLError]],
        *,
        size_max_bytes: int,
    ) -> None:
        """`read` parses a text or raises GraphQLError; `validate` returns what is wrong with what it returned."""
        self._read, self._validate = read, validate
        self._good = _Shelf(size_max_bytes)
        self._bad = _Shelf(size_max_bytes // 8)

    @property
    def size_bytes(self) -> int:
        return self._good.size_bytes + self._bad.size_bytes

    def __len__(self) -> int:
        return len(self._good.documents) + len(self._bad.documents)

    def __contains__(self, text: str) -> bool:
        return text in self._good.documents or text in self._bad.documents

    def is_good(self, text: str) -> bool:
        """Whether the document is here and can be executed."""
        return text in self._good.documents

    def get(self, text: str) -> Document:
        """Return the document, which may be one that is refused or not valid."""
        for shelf in (self._good, self._bad):
            document = shelf.documents.get(text)
            if document is not None:
                shelf.documents.move_to_end(text)
                metrics.DOCUMENTS_FOUND.inc()
                return document
        metrics.DOCUMENTS_READ.inc()
        document = self._new(text)
        (self._good if document.valid else self._bad).keep(document)
        return document

    def _new(self, text: str) -> Document:
        try:
            node = self._read(text)
        except GraphQLError as error:
            # A traceback would keep every frame that it names for as long as the refusal is kept.
            return Document(text, None, refusal=error.with_traceback(None))
        return Document(text, node, errors=self._validate(node))


def _definitions(node: DocumentNode | None) -> Sequence[Any]:
    return node.definitions if node else ()


def _tokens(node: DocumentNode | None) -> int:
    count, token = 0, node.loc.start_token if node and node.loc else None
    while token is not None:
        count, token = count + 1, token.next
    return count
