"""Functions of modules that are loaded without docstrings do what they did."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from kernel.undocumented import IS_KNOWN, terse, undocumented

MODULE = '''
"""Of a module."""

def plain(word="said"):
    """Of a function."""
    assert word, "an assertion stays"
    return word

def speechless():
    return "not a docstring"

def outer():
    """Of the outer one."""
    def inner():
        """Of the inner one."""
        return "inner"
    return inner

class Kind:
    """Of a class."""

    def method(self):
        """Of a method."""
        return [each == "kept" for each in ("kept", "other")], list("kept" for _ in "1"), (lambda: "kept")()

    @property
    def both(self):
        """The very text."""
        return "The very text."

async def later():
    """Of a coroutine."""
    yield "later"
'''
NAME = "loaded_without_docstrings"

pytestmark = pytest.mark.skipif(not IS_KNOWN, reason="docstrings are marked in another way from Python 3.13 on")


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / f"{NAME}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    with undocumented():
        module = import_module(NAME)
    yield module
    del sys.modules[NAME]


def test_functions_have_no_docstrings_and_do_what_they_did(loaded: ModuleType) -> None:
    functions = (loaded.plain, loaded.outer, loaded.outer(), loaded.Kind.method, loaded.later)
    assert [each.__doc__ for each in functions] == [None] * len(functions)
    assert (loaded.__doc__, loaded.Kind.__doc__) == ("Of a module.", "Of a class.")
    assert (loaded.plain(), loaded.speechless(), loaded.outer()()) == ("said", "not a docstring", "inner")
    kind = loaded.Kind()
    assert kind.method() == ([True, False], ["kept"], "kept")
    # What a function says and is documented with is one constant.
    assert kind.both == loaded.Kind.both.__doc__ == "The very text."
    with pytest.raises(AssertionError, match="an assertion stays"):
        loaded.plain("")


def test_lines_are_those_of_the_source(loaded: ModuleType) -> None:
    lines = {node.name: node.lineno for node in ast.walk(ast.parse(MODULE)) if isinstance(node, ast.FunctionDef)}
    assert loaded.plain.__code__.co_firstlineno == lines["plain"]
    assert loaded.outer().__code__.co_firstlineno == lines["inner"]


def test_it_ends_with_the_context() -> None:
    before = vars(SourceFileLoader).get("get_code")
    with undocumented(), pytest.raises(RuntimeError), undocumented():
        raise RuntimeError
    assert vars(SourceFileLoader).get("get_code") is before


def test_code_without_any_is_left_as_it_is() -> None:
    code = compile("def speechless():\n    return [each for each in 'ab' if each == 'a']\n", "<text>", "exec")
    assert terse(code) is code
    assert any(isinstance(each, CodeType) for each in code.co_consts)


def test_classes_lose_theirs_when_all_is_loaded() -> None:
    code = """
import enum, pydantic
from kernel.undocumented import forget_those_of_classes
class Kind(enum.Enum):
    "Of an enumeration."
    ONE = 1
class Model(pydantic.BaseModel):
    "Of a model."
    number: int
class Below(Model):
    "Of what is below."
forget_those_of_classes()
print([each.__doc__ for each in (Kind, Model, Below, pydantic.BaseModel)], bool(int.__doc__))
print(Below(number="2"), Kind(1))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[None, None, None, None] True\nnumber=2 Kind.ONE"
