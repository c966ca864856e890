"""Modules are loaded without the docstrings of their functions, which no process of ours shows to anybody.

There are nine thousand of them, nearly all of libraries, and they take 2.6 MB. `python -OO` leaves them out as well,
and assertions with them, which carry rules. Those of classes, 0.8 MB, can be taken away when all is loaded, and what is
made afterwards has their place.

Up to Python 3.12 a function's docstring is the first of its constants; from 3.13 on, where that is marked in another
way, everything is loaded as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import SourceFileLoader
from inspect import CO_OPTIMIZED
from opcode import hasconst
from operator import is_
from types import CodeType

# The instructions that would take the first of the constants.
USES_OF_FIRST = tuple(bytes((each, 0)) for each in hasconst)
IS_KNOWN = sys.version_info < (3, 13)


def terse(code: CodeType) -> CodeType:
    """Return the same code where no function in it has a docstring."""
    constants = code.co_consts
    kept = [terse(each) if type(each) is CodeType else each for each in constants]
    if constants and type(constants[0]) is str and _is_docstring(code):
        kept[0] = None
    elif all(map(is_, kept, constants)):
        return code
    return code.replace(co_consts=tuple(kept))


def _is_docstring(code: CodeType) -> bool:
    """Return whether nothing but a docstring is the first of the constants.

    Bodies of modules and classes are not optimized; comprehensions are functions whose first constant is their own; and
    a function may use the very text of its docstring. Where two bytes only look as if it did, the docstring stays.
    """
    if not code.co_flags & CO_OPTIMIZED or code.co_name[0] == "<":
        return False
    instructions = code.co_code
    return not any(each in instructions for each in USES_OF_FIRST)


@contextmanager
def undocumented() -> Iterator[None]:
    """Inside, modules are loaded without docstrings of functions; what is loaded stays so afterwards."""
    if not IS_KNOWN:
        yield
        return
    get_code = SourceFileLoader.get_code
    # It is inherited, unless somebody else has replaced it.
    replaced = vars(SourceFileLoader).get("get_code")

    def get_terse(self: SourceFileLoader, fullname: str) -> CodeType | None:
        code = get_code(self, fullname)
        return terse(code) if code is not None else None

    SourceFileLoader.get_code = get_terse  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        if replaced is not None:
            SourceFileLoader.get_code = replaced  # type: ignore[method-assign]
        elif vars(SourceFileLoader).get("get_code") is get_terse:
            del SourceFileLoader.get_code


def forget_those_of_classes() -> None:
    """Take the docstrings of all classes away, but for those that Python does not let anybody change."""
    found: list[type] = [object]
    for cls in found:
        found += type.__subclasses__(cls)
    for cls in set(found):
        if isinstance(vars(cls).get("__doc__"), str):
            with suppress(TypeError):
                cls.__doc__ = None
