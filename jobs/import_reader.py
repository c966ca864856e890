"""Reading the records of a large JSON file one by one, with their lines, in bounded memory.

A record that is odd in itself is handed on for its reader to refuse; only what is not JSON any more ends the file.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import ijson

from domain.pricing.records import RecordRefused
from kernel.errors import YoukaError

CHUNK_SIZE_BYTES = 64 * 1024
RECORD_SIZE_MAX_BYTES = 1024 * 1024
RECORD_DEPTH_MAX = 32
HEADER_TEXT_LENGTH_MAX = 256
# Python refuses integers of more than 4300 digits, and ijson's parser in C does not survive that refusal.
ENDLESS_NUMBER = re.compile(rb"[0-9]{1000}")


class Malformed(YoukaError):
    """The file cannot be read on from here; the records before are good."""

    code = "IMPORT_FILE_MALFORMED"
    messages = {
        "zh-CN": "{path}：第{record}条记录处（第{line}行）无法解析：{reason}",
        "en": "{path}: cannot be read at record {record}, line {line}: {reason}",
    }


class Unreadable(YoukaError):
    """The file cannot be read at all, or not any more."""

    code = "IMPORT_FILE_UNREADABLE"
    messages = {"zh-CN": "{path}：无法读取文件：{reason}", "en": "{path}: the file cannot be read: {reason}"}


class JsonObject(dict[str, Any]):
    """An object with the line it begins on, the line of each member, and the names that occur twice in it."""

    __slots__ = ("line", "lines", "repeated")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.repeated: set[str] = set()

    def put(self, name: str, value: Any, line: int) -> None:
        if name in self:
            self.repeated.add(name)
        self[name] = value
        self.lines[name] = line


@dataclass(frozen=True, slots=True)
class Record:
    """One element of the file's array. Numbers count from 1; `problem` says why there is no value."""

    number: int
    line: int
    value: Any
    problem: str = ""


class _Builder:
    """Puts one value together from the parser's events."""

    def __init__(self, number: int, line: int, read_before: int) -> None:
        self.number, self.line, self.read_before = number, line, read_before
        self.problem = ""
        self._value: Any = None
        self._open: list[JsonObject | list[Any]] = []
        self._names: list[str] = []
        self._begun: list[int] = []
        self._skipped_depth = 0

    def add(self, event: str, value: Any, line: int, read: int) -> bool:
        """Take one event and return whether the value is complete."""
        if read - self.read_before > RECORD_SIZE_MAX_BYTES:
            self._refuse(f"the record is larger than {RECORD_SIZE_MAX_BYTES} bytes")
        if event in {"start_map", "start_array"} and len(self._open) >= RECORD_DEPTH_MAX:
            self._refuse(f"the record is nested deeper than {RECORD_DEPTH_MAX} levels")
        if self.problem:
            return self._skip(event)
        if event == "map_key":
            self._names.append(value)
            return False
        if event in {"start_map", "start_array"}:
            self._open.append(JsonObject(line) if event == "start_map" else [])
            self._begun.append(line)
            return False
        if event in {"end_map", "end_array"}:
            value, line = self._open.pop(), self._begun.pop()
        self._place(value, line)
        return not self._open

    def record(self) -> Record:
        return Record(self.number, self.line, None if self.problem else self._value, self.problem)

    def _place(self, value: Any, line: int) -> None:
        if not self._open:
            self._value = value
        elif isinstance(container := self._open[-1], list):
            container.append(value)
        else:
            container.put(self._names.pop(), value, line)

    def _refuse(self, problem: str) -> None:
        if not self.problem:
            self.problem = problem
            self._skipped_depth = len(self._open)
            # What was built so far is let go: the rest of the record may be endless.
            self._open, self._names, self._begun = [], [], []

    def _skip(self, event: str) -> bool:
        if event in {"start_map", "start_array"}:
            self._skipped_depth += 1
        elif event in {"end_map", "end_array"}:
            self._skipped_depth -= 1
        return self._skipped_depth == 0 and event != "map_key"


class RecordReader:
    """The elements of the array under `array_key` of the object that the file holds.

    `header` collects the texts and numbers beside the array, as far as the file was read. Making one and iterating
    raise Unreadable; iterating raises Malformed where the file stops being JSON.
    """

    def __init__(self, path: Path, array_key: str) -> None:
        # Notices are read twice, which a pipe cannot be.
        if not path.is_file():
            raise Unreadable(path=path.name, reason="there is no such file" if not path.exists() else "it is no file")
        self.path, self.array_key = path, array_key
        self.header: dict[str, Any] = {}
        self.read_bytes = 0
        self._line = 1
        self._records = 0
        self._names: set[str] = set()

    def __iter__(self) -> Iterator[Record]:
        with closing(self._events()) as events:
            event, _ = next(events)
            if event != "start_map":
                raise self.malformed("the file does not hold a JSON object")
            for event, name in events:
                if event == "map_key":
                    yield from self._member(name, events)
        if self.array_key not in self._names:
            raise self.malformed(f'there is no array "{self.array_key}"')

    def malformed(self, reason: str) -> Malformed:
        """Return the error for the record that comes next."""
        return Malformed(path=self.path.name, record=self._records + 1, line=self._line, reason=reason)

    def _member(self, name: str, events: Iterator[tuple[str, Any]]) -> Iterator[Record]:
        if name in self._names:
            raise self.malformed(f'"{name[:HEADER_TEXT_LENGTH_MAX]}" occurs twice')
        if name == self.array_key:
            self._names.add(name)
            yield from self._elements(events)
            return
        event, value = next(events)
        if event in {"start_map", "start_array"}:
            _pass_over(events)
        elif len(name) <= HEADER_TEXT_LENGTH_MAX and len(str(value)) <= HEADER_TEXT_LENGTH_MAX:
            self._names.add(name)
            self.header[name] = value

    def _elements(self, events: Iterator[tuple[str, Any]]) -> Iterator[Record]:
        if next(events)[0] != "start_array":
            raise self.malformed(f'"{self.array_key}" is not an array')
        for event, value in events:
            if event == "end_array":
                return
            builder = _Builder(self._records + 1, self._line, self.read_bytes)
            for part, content in chain([(event, value)], events):
                if builder.add(part, content, self._line, self.read_bytes):
                    break
            self._records += 1
            yield builder.record()

    def _events(self) -> Generator[tuple[str, Any], None, None]:
        """Yield the parser's events, line by line, so that each is known to lie on `self._line`."""
        ready: list[tuple[str, Any]] = []
        # What is not UTF-8 becomes U+FFFD, which the records' texts may not hold: one record is refused, not the file.
        decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        quiet_bytes, blank = 0, True
        with self._opened() as file, _parser(ready) as parser:
            while True:
                chunk = file.readline(CHUNK_SIZE_BYTES)
                text = decoder.decode(chunk, final=not chunk).replace("\0", "\ufffd")
                blank = blank and not text.strip()
                if blank and not chunk:
                    raise self.malformed("the file is empty")
                failure = self._feed(parser, text.encode(), final=not chunk)
                quiet_bytes = 0 if ready else quiet_bytes + len(chunk)
                yield from ready
                ready.clear()
                if failure:
                    raise self.malformed(failure)
                if not chunk:
                    return
                if quiet_bytes > RECORD_SIZE_MAX_BYTES:
                    raise self.malformed(f"a single value is larger than {RECORD_SIZE_MAX_BYTES} bytes")
                self.read_bytes += len(chunk)
                self._line += chunk.endswith(b"\n")

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        try:
            with self.path.open("rb") as file:
                yield file
        except OSError as error:
            raise Unreadable(path=self.path.name, reason=error.strerror or repr(error)) from error

    def _feed(self, parser: Any, data: bytes, *, final: bool) -> str:
        """Return why the parser gave up, or nothing."""
        endless = ENDLESS_NUMBER.search(data)
        data = data[: endless.start()] if endless else data
        try:
            # To the parser nothing means the end.
            if data:
                parser.send(data)
            if final:
                parser.close()
        except (ijson.JSONError, ValueError, ArithmeticError) as error:
            return f"not valid JSON ({' '.join(str(error).split())[:80]})"
        return "a number of more than a thousand digits" if endless else ""


@contextmanager
def _parser(ready: list[tuple[str, Any]]) -> Iterator[Any]:
    parser = ijson.basic_parse_coro(_Sink(ready))
    try:
        yield parser
    finally:
        # A parser that stops in the middle complains about it once more when it is closed.
        with suppress(ijson.JSONError, ValueError, ArithmeticError, StopIteration):
            parser.close()


class _Sink:
    """What the parser sends its events to."""

    def __init__(self, ready: list[tuple[str, Any]]) -> None:
        self.send = ready.append

    def close(self) -> None:
        """Nothing is held back."""


def _pass_over(events: Iterator[tuple[str, Any]]) -> None:
    depth = 1
    while depth:
        event, _ = next(events)
        depth += (event in {"start_map", "start_array"}) - (event in {"end_map", "end_array"})


def header_of(path: Path, array_key: str, wanted: set[str]) -> dict[str, Any]:
    """Return what stands beside the array, reading no further than needed: it may stand behind the array too.

    Raises Unreadable, and Malformed where the file stops being JSON before all that is wanted was found.
    """
    reader = RecordReader(path, array_key)
    with closing(iter(reader)) as records:  # type: ignore[type-var]
        for _ in records:
            if wanted <= reader.header.keys():
                break
    return reader.header


def expect_object(value: Any, name: str) -> JsonObject:
    """Raises RecordRefused where the value is not an object."""
    if value is None:
        raise RecordRefused(reason=f"{name} is missing")
    if not isinstance(value, JsonObject):
        raise RecordRefused(reason=f"{name} is not an object")
    return value


def expect_list(value: Any, name: str) -> list[Any]:
    """Raises RecordRefused where the value is not an array."""
    if not isinstance(value, list):
        raise RecordRefused(reason=f"{name} is {'missing' if value is None else 'not an array'}")
    return value


def member(container: JsonObject, name: str) -> Any:
    """Return a member, None where it is absent. Raises RecordRefused where it occurs twice: which one is meant?"""
    if name in container.repeated:
        raise RecordRefused(reason=f'"{name}" occurs twice')
    return container.get(name)


def text_member(container: JsonObject, name: str, *, optional: bool = False) -> str:
    """Return a member's text without surrounding blanks. Raises RecordRefused where there is none."""
    value = member(container, name)
    if value is None:
        if optional:
            return ""
        raise RecordRefused(reason=f"{name} is missing")
    if not isinstance(value, str):
        raise RecordRefused(reason=f"{name} is not text")
    return value.strip()


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
