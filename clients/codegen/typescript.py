"""Writes the TypeScript client's half that depends on the schema: one module of types and operations."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    get_named_type,
)

from clients.codegen.model import (
    Choice,
    Leaf,
    Listed,
    Operation,
    Shape,
    Typed,
    choices,
    enums_of,
    inputs_of,
    shapes,
)

HEADER = """\
// What the client knows of the schema and of its documents. Made by `make clients`; do not edit.

import type { Operation, Refusal, Unknown } from "../wire.js";

"""
SCALARS = {
    "ID": "string",
    "String": "string",
    "Int": "number",
    "Float": "number",
    "Boolean": "boolean",
    "DateTime": "string",
    "Date": "string",
    "Fen": "number",
    "Yuan": "string",
    "JSONObject": "Record<string, unknown>",
}
WIDTH = 116
OF_REFUSALS = frozenset({"code", "message"})


def write(schema: GraphQLSchema, operations: Sequence[Operation]) -> dict[str, str]:
    """Return the one module, by its path below the folder of what is generated."""
    parts = [HEADER, *map(_enum, enums_of(schema, operations)), *map(_input, inputs_of(operations))]
    parts += [part for each in operations for part in _operation(each)]
    return {"operations.ts": "".join(parts).rstrip() + "\n"}


def _enum(enum: GraphQLEnumType) -> str:
    values = " | ".join(f'"{name}"' for name in enum.values)
    return f"{_comment(enum.description)}export type {enum.name} = {values} | (string & {{}});\n\n"


def _input(kind: GraphQLInputObjectType) -> str:
    lines = [
        f"{_comment(field.description, indent=2)}  readonly {_entry(name, field.type, field.ast_node)};\n"
        for name, field in kind.fields.items()
    ]
    return f"{_comment(kind.description)}export interface {kind.name} {{\n{''.join(lines)}}}\n\n"


def _operation(operation: Operation) -> list[str]:
    parts = [_interface(each) for each in shapes(operation.answer)]
    parts += [_choice(each) for each in choices(operation.answer)]
    variables = [
        f"  readonly {each.name}{'?' if each.optional or each.name == operation.key else ''}: {_given(each.type)};\n"
        for each in operation.variables
    ]
    body = f"{{\n{''.join(variables)}}}" if variables else "Record<string, never>"
    parts.append(f"export type {operation.name}Variables = {body};\n\n")
    name = operation.name[0].lower() + operation.name[1:]
    described = operation.description
    if operation.key:
        described += f" Without `{operation.key}` it gets a new idempotency key."
    parts.append(_comment(described))
    key = "" if operation.key is None else f'\n  key: "{operation.key}",'
    parts.append(
        f"export const {name}: Operation<{_type(operation.answer)}, {operation.name}Variables> = {{\n"
        f'  name: "{operation.name}",\n  kind: "{operation.kind}",\n  field: "{operation.field}",{key}\n'
        f'  sha256: "{operation.sha256}",\n  text: {json.dumps(operation.text, ensure_ascii=False)},\n}};\n\n'
    )
    return parts


def _interface(shape: Shape) -> str:
    lines = [f'  readonly __typename: "{shape.typename}";\n'] if shape.is_member else []
    refuses = shape.refuses and shape.is_member
    for each in shape.fields:
        if refuses and each.name in OF_REFUSALS:
            continue
        lines.append(f"{_comment(each.description, indent=2)}  readonly {each.name}: {_type(each.type)};\n")
    return f"export interface {shape.name}{' extends Refusal' if refuses else ''} {{\n{''.join(lines)}}}\n\n"


def _choice(choice: Choice) -> str:
    members = "".join(f"\n  | {each.name}" for each in choice.members)
    return f"export type {choice.name} ={members}\n  | Unknown;\n\n"


def _type(typed: Typed) -> str:
    match typed.what:
        case Leaf(name, is_enum):
            text = name if is_enum else SCALARS[name]
        case Listed(item):
            inner = _type(item)
            text = f"readonly ({inner})[]" if " " in inner else f"readonly {inner}[]"
        case Shape() | Choice():
            text = typed.what.name
    return f"{text} | null" if typed.nullable else text


def _entry(name: str, kind: GraphQLInputType, node: object) -> str:
    optional = not isinstance(kind, GraphQLNonNull) or getattr(node, "default_value", None) is not None
    return f"{name}{'?' if optional else ''}: {_given(kind)}"


def _given(kind: GraphQLInputType) -> str:
    if isinstance(kind, GraphQLNonNull):
        return _bare_given(kind.of_type)
    return f"{_bare_given(kind)} | null"


def _bare_given(kind: GraphQLInputType) -> str:
    if isinstance(kind, GraphQLList):
        return f"readonly ({_given(kind.of_type)})[]"
    name = get_named_type(kind).name
    return SCALARS.get(name, name)


def _comment(text: str | None, *, indent: int = 0) -> str:
    words = " ".join((text or "").split()).replace("*/", "* /")
    lines = textwrap.wrap(words, WIDTH - indent - 7)
    if not lines:
        return ""
    space = " " * indent
    if len(lines) == 1:
        return f"{space}/** {lines[0]} */\n"
    return f"{space}/**\n" + "".join(f"{space} * {line}\n" for line in lines) + f"{space} */\n"
