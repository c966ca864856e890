"""Records out of files that are good, odd and broken."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import ijson
import ijson.backends.python as pure
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.import_reader import JsonObject, Malformed, Record, RecordReader, Unreadable, header_of
from tests.imports.support import write


@pytest.fixture(params=["compiled", "pure"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """ijson chooses its parser by what a platform has; both must do."""
    if request.param == "pure":
        monkeypatch.setattr(ijson, "basic_parse_coro", pure.basic_parse_coro)


def read(path: Path) -> tuple[list[Record], str]:
    """Return the records, and why the file could not be read to its end."""
    records: list[Record] = []
    reader = iter(RecordReader(path, "features"))
    try:
        while True:
            records.append(next(reader))
    except StopIteration:
        return records, ""
    except Malformed as malformed:
        return records, str(malformed)


def values(text: str | bytes, folder: Path) -> tuple[list[Any], str]:
    records, reason = read(write(folder, text))
    return [record.value for record in records], reason


def test_records_carry_their_number_and_the_line_they_begin_on(tmp_path: Path) -> None:
    path = write(tmp_path, '{"features": [\n1,\n\n{"a":\n{"b": 2}},\n"x"]}')
    records, reason = read(path)
    assert [(record.number, record.line, record.value) for record in records] == [
        (1, 2, 1),
        (2, 4, {"a": {"b": 2}}),
        (3, 6, "x"),
    ]
    assert reason == ""
    assert isinstance(records[1].value, JsonObject)
    assert records[1].value["a"].line == 5


def test_numbers_are_exact(tmp_path: Path) -> None:
    found, _ = values('{"features": [8.46, 1e400, 12345678901234567890, -0.1]}', tmp_path)
    assert found == [Decimal("8.46"), Decimal("1e400"), 12345678901234567890, Decimal("-0.1")]
    assert [type(one) for one in found] == [Decimal, Decimal, int, Decimal]


def test_repeated_members_are_noticed(tmp_path: Path) -> None:
    found, _ = values('{"features": [{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}]}', tmp_path)
    assert found[0].repeated == {"a"}
    assert found[0]["b"].repeated == {"c"}


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b"", b" \r\n\t"])
def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path, prefix: bytes) -> None:
    assert values(prefix + '{"features": ["中"]}'.encode(), tmp_path) == (["中"], "")


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xe4\xb8", b"\xed\xa0\x80", b"\x00"])
def test_bytes_that_are_no_text_are_marked_and_lose_nothing_else(tmp_path: Path, bad: bytes) -> None:
    found, reason = values(b'{"features": ["a", "b' + bad + b'c", "d"]}', tmp_path)
    assert [found[0], found[2]] == ["a", "d"]
    assert "\ufffd" in found[1]
    assert reason == ""


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("", [], "record 1, line 1: the file is empty"),
        (" \n\n", [], "line 3: the file is empty"),
        ("[]", [], "does not hold a JSON object"),
        ("null", [], "does not hold a JSON object"),
        ("{}", [], 'no array "features"'),
        ('{"features": {}}', [], '"features" is not an array'),
        ('{"features": null}', [], '"features" is not an array'),
        ('{"features": [1,\n2', [1, 2], "record 3, line 2: not valid JSON"),
        ('{"features": [1,\nNaN]}', [1], "record 2, line 2: not valid JSON"),
        ('{"features": [1,\n-Infinity]}', [1], "record 2, line 2: not valid JSON"),
        ('{"features": [1,\n]}', [1], "record 2, line 2: not valid JSON"),
        ('{"features": [1\n2]}', [1], "record 2, line 2: not valid JSON"),
        ('{"features": [1, "a\nb"]}', [1], "record 2, line"),
        ('{"features": [1]}\n{}', [1], "record 2, line 2: not valid JSON"),
        ('{"features": [1], "features": [2]}', [1], '"features" occurs twice'),
        ('{"unit": 1, "unit": 2, "features": [1]}', [], '"unit" occurs twice'),
        ('{"features": [1,\n' + "9" * 5000 + "]}", [1], "record 2, line 2: a number of more than a thousand digits"),
        ('{"features": [1,\n1e99999999999999999999]}', [1], "record 2, line 2: not valid JSON"),
        ('{"features": [1, ' + '{"a":' * 50_000, [1], "record 2, line 1: not valid JSON"),
    ],
)
def test_a_broken_file_gives_what_stands_before_and_names_the_place(
    tmp_path: Path, text: str, expected: list[Any], reason: str
) -> None:
    found, why = values(text, tmp_path)
    assert found == expected
    assert reason in why
    assert why.startswith("file.json: cannot be read at record ")


def test_a_record_that_is_too_deep_or_too_large_is_refused_alone(tmp_path: Path) -> None:
    deep = "[" * 40 + "]" * 40
    large = "[" + ",".join(['"0123456789"'] * 200_000) + "]"
    records, reason = read(write(tmp_path, f'{{"features": [1, {deep}, 2, {large}, 3, {{"a": {deep}}}, 4]}}'))
    assert reason == ""
    assert [record.value for record in records] == [1, None, 2, None, 3, None, 4]
    assert ["deeper" in record.problem for record in records] == [False, True, False, False, False, True, False]
    assert "larger than 1048576 bytes" in records[3].problem


def test_a_single_endless_value_ends_the_file(tmp_path: Path) -> None:
    found, reason = values(b'{"features": [1, "' + b"x" * 3_000_000 + b'"]}', tmp_path)
    assert found == [1]
    assert "record 2, line 1: a single value is larger than 1048576 bytes" in reason


def test_memory_does_not_follow_the_files_size(tmp_path: Path) -> None:
    def peak_of(records: int) -> int:
        elements = ",".join(['{"name": "a station with some text to it"}'] * records)
        path = write(tmp_path, f'{{"other": [{elements}], "features": [{elements}]}}')
        tracemalloc.start()
        count = sum(1 for _ in RecordReader(path, "features"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == records
        return peak

    assert peak_of(7_000) < 1.2 * peak_of(3_500)


def test_what_stands_beside_the_array_is_found_before_and_behind_it(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1, "skip": {"b": [1]}, "features": [1, 2], "b": "x", "long": "' + "y" * 300 + '"}')
    assert header_of(path, "features", {"a"}) == {"a": 1}
    assert header_of(path, "features", {"b"}) == {"a": 1, "b": "x"}
    assert header_of(path, "features", {"long"}) == {"a": 1, "b": "x"}


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(Unreadable):
            RecordReader(path, "features")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text('ab中"\\\n\t\u2028', max_size=20),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text("xy中", max_size=4), children, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(
    elements=st.lists(json_values, max_size=6),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
)
def test_every_good_file_reads_as_json_does(elements: list[Any], indent: int | None, ascii_only: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps({"x": elements, "features": elements}, indent=indent, ensure_ascii=ascii_only)
        assert values(text, Path(folder)) == (elements, "")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_damage_raises_anything_else(damage: bytes, place: int) -> None:
    whole = json.dumps({"type": "x", "features": [{"a": [1, 2.5, "中"]}, None, "y"]}, ensure_ascii=False).encode()
    with tempfile.TemporaryDirectory() as folder:
        values(whole[:place] + damage + whole[place + len(damage) :], Path(folder))
