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
from subscriptions.requests import Asked, GraphQLRequest, PersistedDocuments, found


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
            request = await found(asked, self.documents)
        except YoukaError as error:
            raise OperationRefused([refusal(error, locale=context.locale)]) from None
        if resumed:
            request = resumed(request)
        try:
            prepared = self.executor.prepare(request, context)
        except OperationRefused:
            self.charging.refused(context)
            raise
        if request.automatic:
            await self.documents.keep(request.query, automatic=request.automatic)
        return prepared
