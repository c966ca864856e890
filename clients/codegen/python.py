"""Writes what depends on the schema of the Python client: a module for each operation, and those that they share."""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Sequence

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
    DocumentUnfit,
    Leaf,
    Listed,
    Operation,
    Shape,
    Typed,
    Variable,
    choices,
    enums_of,
    inputs_of,
    leaves,
    shapes,
)

HEADER = '"""{title}\n\nMade by `make clients`; do not edit.\n"""\n\nfrom __future__ import annotations\n\n'
SCALARS = {
    "ID": "str",
    "String": "str",
    "Int": "int",
    "Float": "float",
    "Boolean": "bool",
    "DateTime": "datetime",
    "Date": "date",
    "Fen": "int",
    "Yuan": "str",
    "JSONObject": "dict[str, Any]",
}
READERS = {"DateTime": "datetime.fromisoformat", "Date": "date.fromisoformat"}
WIDTH = 110
OF_REFUSALS = frozenset({"code", "message"})


def write(schema: GraphQLSchema, operations: Sequence[Operation]) -> dict[str, str]:
    """Return the modules by their path below the folder of what is generated."""
    enums = enums_of(schema, operations)
    files = {
        "__init__.py": HEADER.format(title="What the client knows of the schema and of its documents.").rstrip() + "\n",
        "enums.py": _enums(enums),
        "inputs.py": _inputs(inputs_of(operations)),
        "api.py": _api(operations),
    }
    files |= {f"{snake(each.name)}.py": _module(each) for each in operations}
    return {path: formatted(text) for path, text in files.items()}


def snake(name: str) -> str:
    """Return a name of the schema as Python writes it."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return words + "_" if keyword.iskeyword(words) else words


def formatted(text: str) -> str:
    """Return a module as the formatter of the house leaves it."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", "generated.py", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _enums(enums: Sequence[GraphQLEnumType]) -> str:
    parts = [HEADER.format(title="Enums of the schema. A value that is newer than this client stays a text.")]
    parts.append("from enum import StrEnum\n")
    for each in enums:
        parts.append(f"\n\nclass {each.name}(StrEnum):\n{_docstring(each.description)}\n")
        parts += [f'    {value} = "{value}"\n' for value in each.values]
    return "".join(parts)


def _inputs(kinds: Sequence[GraphQLInputObjectType]) -> str:
    parts = [HEADER.format(title="Input types of the schema. What is None is not sent.")]
    parts.append("from dataclasses import dataclass\nfrom datetime import date, datetime\nfrom typing import Any\n\n")
    parts.append("from ..wire import Input\n")
    names = {name for kind in kinds for name in _enum_names(field.type for field in kind.fields.values())}
    parts += [f"from .enums import {', '.join(sorted(names))}\n"] if names else []
    for kind in kinds:
        parts.append(f"\n\n@dataclass(frozen=True, slots=True, kw_only=True)\nclass {kind.name}(Input):\n")
        parts.append(_docstring(kind.description) + "\n")
        required = [(name, field) for name, field in kind.fields.items() if _is_required(field)]
        optional = [(name, field) for name, field in kind.fields.items() if not _is_required(field)]
        parts += [f"    {snake(name)}: {_given(field.type)}\n" for name, field in required]
        parts += [f"    {snake(name)}: {_given(field.type, optional=True)} = None\n" for name, field in optional]
    return _without_unused("".join(parts))


def _is_required(field: object) -> bool:
    kind = getattr(field, "type", None)
    node = getattr(field, "ast_node", None)
    return isinstance(kind, GraphQLNonNull) and getattr(node, "default_value", None) is None


def _module(operation: Operation) -> str:
    parts = [HEADER.format(title=f"The {operation.kind} `{operation.name}`.")]
    enums = sorted({leaf.name for leaf in leaves(operation.answer) if leaf.is_enum})
    parts.append("from dataclasses import dataclass\nfrom datetime import date, datetime\n")
    parts.append("from typing import Any, Literal, Self, TypeAlias\n\n")
    parts.append("from ..errors import Refusal, Unknown\nfrom ..wire import Operation, enum_of\n")
    parts += [f"from .enums import {', '.join(enums)}\n"] if enums else []
    for shape in shapes(operation.answer):
        parts.append(_class(shape))
        parts += [_choice(each) for each in choices(operation.answer) if shape is each.members[-1]]
    assert '"""' not in operation.text
    assert "\\" not in operation.text
    parts.append(f'\n\nTEXT = """\\\n{operation.text}"""\n')
    parts.append(f"{_constant(operation)}: Operation[{_type(operation.answer)}] = Operation(\n")
    parts.append(f'    name="{operation.name}",\n    kind="{operation.kind}",\n    field="{operation.field}",\n')
    parts.append(f'    sha256="{operation.sha256}",\n    text=TEXT,\n')
    parts.append(f"    idempotent={operation.kind == 'query' or operation.key is not None},\n")
    parts.append(f"    read={_function(_read('data', operation.answer))},\n)\n")
    return _without_unused("".join(parts))


def _function(expression: str) -> str:
    """Return a function that reads `data` as the expression does."""
    called = re.fullmatch(r"([\w.]+)\(data\)", expression)
    return called[1] if called else f"lambda data: {expression}"


def _class(shape: Shape) -> str:
    """Return a dataclass; that of a typed error has code and message from its base."""
    refuses = shape.refuses and shape.is_member
    lines = [f"\n\n@dataclass(frozen=True, slots=True)\nclass {shape.name}{'(Refusal)' if refuses else ''}:"]
    names = {each.name for each in shape.fields}
    if refuses and not names >= OF_REFUSALS:
        raise DocumentUnfit(f"{shape.name}: of an error its code and its message are asked for")
    own = [each for each in shape.fields if not refuses or each.name not in OF_REFUSALS]
    for each in own:
        lines.append(f"    {snake(each.name)}: {_type(each.type)}")
        lines += [_docstring(each.description)] if each.description else []
    if shape.is_member:
        lines.append(f'    typename: Literal["{shape.typename}"] = "{shape.typename}"')
    if refuses and not own:
        return "\n".join(lines) + "\n"
    lines.append("\n    @classmethod\n    def of(cls, data: dict[str, Any]) -> Self:")
    lines.append("        return cls(")
    for each in shape.fields:
        read = _read(f'data["{each.name}"]', each.type)
        lines.append(f"            {snake(each.name)}={read},")
    lines.append("        )\n")
    return "\n".join(lines)


def _choice(choice: Choice) -> str:
    members = [each.name for each in choice.members]
    lines = [f"\n\n{choice.name}: TypeAlias = (", *(f"    {name} |" for name in members), "    Unknown\n)\n"]
    lines.append(f"\ndef {_reader(choice)}(data: dict[str, Any]) -> {choice.name}:")
    lines.append('    match data["__typename"]:')
    for each in choice.members:
        lines.append(f'        case "{each.typename}":\n            return {each.name}.of(data)')
    lines.append("        case _:\n            return Unknown.of(data)\n")
    return "\n".join(lines)


def _reader(choice: Choice) -> str:
    return f"_read_{snake(choice.name)}"


def _type(typed: Typed) -> str:
    match typed.what:
        case Leaf(name, True):
            text = f"{name} | str"
        case Leaf(name, False):
            text = SCALARS[name]
        case Listed(item):
            text = f"list[{_type(item)}]"
        case Shape() | Choice():
            text = typed.what.name
    return f"{text} | None" if typed.nullable else text


def _read(value: str, typed: Typed) -> str:
    """Return the expression that reads a value of JSON."""
    match typed.what:
        case Leaf(name, True):
            text = f"enum_of({name}, {value})"
        case Leaf(name, False):
            text = f"{READERS[name]}({value})" if name in READERS else value
        case Listed(item):
            inner = _read("each", item)
            text = value if inner == "each" else f"[{inner} for each in {value}]"
        case Shape(name):
            text = f"{name}.of({value})"
        case Choice():
            text = f"{_reader(typed.what)}({value})"
    return f"None if {value} is None else {text}" if typed.nullable and text != value else text


def _api(operations: Sequence[Operation]) -> str:
    parts = [HEADER.format(title="A method for each document.")]
    parts.append("from collections.abc import AsyncIterator\nfrom datetime import date, datetime\n")
    parts.append("from typing import Any\n\nfrom ..wire import Caller, new_key\n")
    kinds = [variable.type for each in operations for variable in each.variables]
    enums = sorted(_enum_names(kinds))
    inputs = sorted({kind.name for kind in map(get_named_type, kinds) if isinstance(kind, GraphQLInputObjectType)})
    parts += [f"from .enums import {', '.join(enums)}\n"] if enums else []
    parts += [f"from .inputs import {', '.join(inputs)}\n"] if inputs else []
    for each in operations:
        module = snake(each.name)
        names = [_constant(each), *_named(each.answer)]
        parts.append(f"from .{module} import {', '.join(sorted(names))}\n")
    parts.append('\n\nclass Api(Caller):\n    """What can be asked, by the names of the documents."""\n')
    parts += [_method(each) for each in operations]
    return _without_unused("".join(parts))


def _named(typed: Typed) -> list[str]:
    return [typed.what.name] if isinstance(typed.what, Shape | Choice) else []


def _method(operation: Operation) -> str:
    subscribes = operation.kind == "subscription"
    ordered = sorted(operation.variables, key=lambda each: _defaulted(each, operation))
    given = [_parameter(each, operation) for each in ordered]
    signature = f"self, *, {', '.join(given)}" if given else "self"
    answer = _type(operation.answer)
    returned = f"AsyncIterator[{answer}]" if subscribes else answer
    described = operation.description
    if operation.key:
        described += f" Without `{snake(operation.key)}` it gets a new idempotency key."
    lines = [f"\n    {'' if subscribes else 'async '}def {snake(operation.name)}({signature}) -> {returned}:"]
    lines.append(_docstring(described, indent=8))
    entries = [f'"{each.name}": {_argument(each, operation)}' for each in operation.variables]
    call = "self.subscribe" if subscribes else "await self.run"
    lines.append(f"        return {call}({_constant(operation)}, {{{', '.join(entries)}}})\n")
    return "\n".join(lines)


def _defaulted(variable: Variable, operation: Operation) -> bool:
    return variable.optional or variable.name == operation.key


def _parameter(variable: Variable, operation: Operation) -> str:
    optional = _defaulted(variable, operation)
    return f"{snake(variable.name)}: {_given(variable.type, optional=optional)}{' = None' if optional else ''}"


def _argument(variable: Variable, operation: Operation) -> str:
    name = snake(variable.name)
    return f"{name} or new_key()" if variable.name == operation.key else name


def _given(kind: GraphQLInputType, *, optional: bool = False) -> str:
    """Return the Python type of a value that is sent."""
    if isinstance(kind, GraphQLNonNull):
        text = _bare_given(kind.of_type)
        return f"{text} | None" if optional else text
    return f"{_bare_given(kind)} | None"


def _bare_given(kind: GraphQLInputType) -> str:
    if isinstance(kind, GraphQLList):
        return f"list[{_given(kind.of_type)}]"
    name = get_named_type(kind).name
    return f"{name} | str" if isinstance(kind, GraphQLEnumType) else SCALARS.get(name, name)


def _enum_names(kinds: Iterable[GraphQLInputType]) -> set[str]:
    return {kind.name for kind in map(get_named_type, kinds) if isinstance(kind, GraphQLEnumType)}


def _constant(operation: Operation) -> str:
    return snake(operation.name).upper()


def _docstring(text: str | None, *, indent: int = 4) -> str:
    """Return a docstring of whole lines."""
    lines = textwrap.wrap(" ".join((text or "").split()), WIDTH - indent)
    if not lines:
        return ""
    end = '"""' if len(lines) == 1 else "\n" + " " * indent + '"""'
    return " " * indent + '"""' + ("\n" + " " * indent).join(lines) + end


def _without_unused(text: str) -> str:
    """Return a module without the imported names that nothing in it uses."""
    head, body = [], text
    for line in text.split("\n"):
        found = re.fullmatch(r"from (\S+) import (.+)", line)
        if not found or found[1] == "__future__":
            head.append(line)
            continue
        rest = body.replace(line, "")
        names = [name for name in found[2].split(", ") if re.search(rf"\b{name}\b", rest)]
        head += [f"from {found[1]} import {', '.join(names)}"] if names else []
    return "\n".join(head)
