"""From a request to an operation that may be executed, the same on every transport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernel.errors import YoukaError
from schema.types.context import Context
from subscriptions.charging import Charging
from subscriptions.deliveries import OperationRefused
from subscriptions.errors import refusal
from subscriptions.execution import Executor, Prepared
from subscriptions.requests import Asked, GraphQLRequest, PersistedDocuments, with_document


@dataclass(frozen=True, slots=True)
class Reception:
    """Knows the documents that may be named, and the executor that reads them."""

    executor: Executor
    documents: PersistedDocuments
    charging: Charging

    async def prepare(
        self, asked: Asked, context: Context, *, resumed: Callable[[GraphQLRequest], GraphQLRequest] | None = None
    ) -> Prepared:
        """Return the operation; `resumed` may change the request once its document is known.

        Raises OperationRefused, and what `resumed` raises. A document is known by its hash once it has proved valid;
        one that has not costs something as well.
        """
        try:
            self.charging.admit(context)
            text = await self.documents.find(asked.query, document_id=asked.document_id, automatic=asked.automatic)
        except YoukaError as error:
            raise OperationRefused([refusal(error, locale=context.locale)]) from None
        request = with_document(asked, text)
        if resumed:
            request = resumed(request)
        prepared = self._prepared(request, context)
        if request.automatic:
            await self.documents.keep(request.query, automatic=request.automatic)
        return prepared

    def prepare_here(self, asked: Asked, context: Context) -> Prepared | None:
        """As `prepare`; None where that takes waiting. Raises OperationRefused."""
        if asked.automatic is not None:
            return None
        try:
            text = self.documents.find_here(asked.query, document_id=asked.document_id, automatic=None)
            if text is None or not self.executor.knows(text):
                # What is known is charged for its execution in a moment, and refused then.
                self.charging.admit(context)
        except YoukaError as error:
            raise OperationRefused([refusal(error, locale=context.locale)]) from None
        return self._prepared(with_document(asked, text), context) if text is not None else None

    def _prepared(self, request: GraphQLRequest, context: Context) -> Prepared:
        try:
            return self.executor.prepare(request, context)
        except OperationRefused:
            self.charging.refused(context)
            raise
