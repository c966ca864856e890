"""Where domain errors of queries and streams become GraphQL errors with their code; mutations have payloads instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graphql import GraphQLError

from kernel.errors import YoukaError
from schema.types.context import Info


@contextmanager
def refusals(info: Info) -> Iterator[None]:
    """Raise a GraphQLError with the code, the message in the caller's language, and the values that go with it."""
    try:
        yield
    except YoukaError as error:
        extensions = {"code": error.code, **error.values}
        raise GraphQLError(error.message(info.context.locale), extensions=extensions) from error
