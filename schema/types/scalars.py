"""Scalars that refuse what others let through."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NewType, TypeVar, cast

import strawberry
from graphql import GraphQLError, value_from_ast_untyped
from graphql.language import FloatValueNode, IntValueNode, StringValueNode, ValueNode

from kernel.clock import written
from kernel.errors import YoukaError

# RFC 3339, section 5.6: a full date, a full time, and an offset that may not be left out.
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
WRITTEN_LENGTH = len("2026-04-21T16:00:00.000Z")
DIGITS_MAX = 12
PLAIN_DECIMAL = re.compile(r"-?\d{1,12}(\.\d{1,6})?", re.ASCII)


class AmountNotANumber(YoukaError):
    code = "AMOUNT_NOT_A_NUMBER"
    messages = {
        "zh-CN": "金额须为以元为单位的普通十进制数，如500.00：最多12位整数和6位小数",
        "en": "The amount must be a plain decimal in yuan, such as 500.00: at most 12 digits and 6 decimal places",
    }


Write = TypeVar("Write", bound=Callable[..., Any])


def unchanged_unless(condition: str) -> Callable[[Write], Write]:
    """Say of a function that it returns what it is given unless this holds, as code in which {0} is the value.

    A plan then has the condition instead of the call (`schema.execution.leaves`).
    """

    def say(write: Write) -> Write:
        vars(write)["unchanged_unless"] = condition
        return write

    return say


def refuse(code: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})


def parse_datetime(value: Any) -> datetime:
    """Read an RFC 3339 timestamp with an offset. Raises a GraphQLError with the code DATETIME_INVALID."""
    if not isinstance(value, str) or not RFC_3339.fullmatch(value):
        raise refuse("DATETIME_INVALID", "expected RFC 3339 with an offset, such as 2026-04-22T00:00:00+08:00")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise refuse("DATETIME_INVALID", f"not a date and time that exists: {error}") from None


@unchanged_unless(f"type({{0}}) is not str or len({{0}}) != {WRITTEN_LENGTH} or {{0}}[10] != 'T' or {{0}}[-1] != 'Z'")
def serialize_datetime(value: datetime | str) -> str:
    """Write UTC with milliseconds, such as `2026-04-21T16:00:00.000Z`. What the database has written so stays."""
    if isinstance(value, str):
        if len(value) != WRITTEN_LENGTH or value[10] != "T" or value[-1] != "Z":
            raise TypeError("a text that is no moment cannot be shown as one")
        return value
    if value.tzinfo is None:
        raise TypeError("a naive datetime cannot be shown")
    return written(value)


def moment(value: datetime | str) -> DateTime:
    """Return a moment of a row, be it one or the text of one (`models.moments`), as a field of a type."""
    return cast(DateTime, value)


def parse_yuan(value: Any) -> Decimal:
    """Read a decimal amount of yuan exactly. Raises AmountNotANumber.

    Whether the amount makes sense (zero, negative, a fraction of a fen, a limit) is for the rules to say, since each of
    these is a typed error of the mutation.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise AmountNotANumber
    if isinstance(value, int) and abs(value) >= 10**DIGITS_MAX:
        raise AmountNotANumber
    text = value if isinstance(value, str) else repr(value)
    if not PLAIN_DECIMAL.fullmatch(text):
        raise AmountNotANumber
    return Decimal(text)


def parse_yuan_literal(node: ValueNode, _variables: Any = None) -> Decimal:
    """Read the literal as it was written, so that no float comes between the client's digits and ours."""
    if not isinstance(node, StringValueNode | IntValueNode | FloatValueNode):
        raise AmountNotANumber
    return parse_yuan(node.value)


def serialize_fen(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**53:
        raise TypeError("fen are integers up to 2^53")
    return value


def refuse_input(_value: Any) -> Any:
    raise refuse("NOT_AN_INPUT", "this scalar is for answers only")


def parse_json_object(value: Any) -> dict[str, Any]:
    """Return the object. Raises a GraphQLError with the code JSON_INVALID where it is another kind of value."""
    if not isinstance(value, dict):
        raise refuse("JSON_INVALID", "expected an object")
    return value


def parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    return parse_json_object(value_from_ast_untyped(node, variables))


DateTime = NewType("DateTime", datetime)
Yuan = NewType("Yuan", Decimal)
Fen = NewType("Fen", int)
JsonObject = NewType("JsonObject", dict[str, Any])

SCALARS: dict[object, Any] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment in RFC 3339 with an offset. Answers are in UTC with milliseconds.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=serialize_datetime,
        parse_value=parse_datetime,
    ),
    Yuan: strawberry.scalar(
        name="Yuan",
        description='An amount of yuan as a plain decimal, best sent as text: "500.00". NaN, Infinity and exponents '
        "are refused.",
        serialize=str,
        parse_value=parse_yuan,
        parse_literal=parse_yuan_literal,
    ),
    Fen: strawberry.scalar(
        name="Fen",
        description="An integer amount of fen (1 yuan is 100 fen), exact up to 2^53.",
        serialize=serialize_fen,
        parse_value=refuse_input,
    ),
    JsonObject: strawberry.scalar(
        name="JSONObject",
        description='An object of JSON, such as the variables of an operation: {"id": "…"}.',
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=parse_json_object,
        parse_literal=parse_json_literal,
    ),
}
