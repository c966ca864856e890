"""What clients see of errors: a code always, a message in their language, and nothing internal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError
from graphql.language import ValueNode
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from kernel.errors import Locale, YoukaError
from kernel.ids import new_id, short_text
from kernel.logs import get_logger

log = get_logger(__name__)

INTERNAL = "INTERNAL"
INTERNAL_MESSAGES: dict[Locale, str] = {"zh-CN": "系统错误", "en": "Internal error"}


def present(errors: Sequence[GraphQLError], *, locale: Locale) -> list[dict[str, Any]]:
    """Return the errors as a response has them. Those that nobody meant are logged under the id that is shown."""
    return [_present(error, locale) for error in errors]


def internal_error(error: BaseException, *, locale: Locale, **values: Any) -> dict[str, Any]:
    """Log what nobody meant to happen, and return what the client may know of it."""
    error_id = short_text(new_id())
    log.error("graphql.internal_error", error_id=error_id, exc_info=error, **values)
    return {"message": INTERNAL_MESSAGES[locale], "extensions": {"code": INTERNAL, "id": error_id}}


def refusal(error: YoukaError, *, locale: Locale) -> dict[str, Any]:
    return {"message": error.message(locale), "extensions": {"code": error.code, **error.values}}


def is_internal(presented: dict[str, Any]) -> bool:
    return bool(presented["extensions"]["code"] == INTERNAL)


def _present(error: GraphQLError, locale: Locale) -> dict[str, Any]:
    formatted: dict[str, Any] = dict(error.formatted)
    cause = _cause(error)
    code = _code(error, cause)
    if code:
        formatted["extensions"] = {**formatted.get("extensions", {}), "code": code}
    elif isinstance(cause, YoukaError):
        formatted |= refusal(cause, locale=locale)
    else:
        formatted |= internal_error(cause or error, locale=locale, path=error.path)
    return formatted


def _cause(error: GraphQLError) -> BaseException | None:
    """Return what was raised, below the layers that only say where."""
    cause: BaseException | None = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _code(error: GraphQLError, cause: BaseException | None) -> str | None:
    """Return the code of an error that was raised on purpose, or that the request itself is to blame for."""
    given = (error.extensions or {}).get("code")
    if isinstance(given, str):
        return given
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    if isinstance(cause, MissingQueryError):
        return "BAD_REQUEST"
    if isinstance(cause, CannotGetOperationTypeError):
        return "OPERATION_NOT_FOUND"
    if isinstance(cause, InvalidOperationTypeError):
        return "OPERATION_NOT_ALLOWED"
    # Validation, and reading the variables, come before execution: their errors have no place in the answer.
    if cause is None and (error.path is None or _blames_a_value(error)):
        return "GRAPHQL_VALIDATION_FAILED"
    return None


def _blames_a_value(error: GraphQLError) -> bool:
    """Whether it points at a value in the document, such as a variable that is null where its argument may not be.

    Only execution finds these (https://spec.graphql.org/October2021/#sec-All-Variable-Usages-Are-Allowed); whatever
    else goes wrong there points at a field.
    """
    return bool(error.nodes) and all(isinstance(node, ValueNode) for node in error.nodes or ())
