"""The codec against the one of `websockets`, whatever is sent and however it is cut into pieces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, Frame
from websockets.frames import Opcode as TheirOpcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol

from subscriptions.framing import (
    NOT_UTF8,
    PROTOCOL_ERROR,
    TOO_BIG,
    Decoder,
    FramingFailed,
    Opcode,
    close_frame,
    control_frame,
    read_close,
    text_frame,
    unmasked,
)

SIZE_MAX = 70_000


def read(decoder: Decoder) -> Iterator[tuple[Opcode, bytes]]:
    while (found := decoder.next()) is not None:
        yield found


def sent_by_client(frame: Frame, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """As a client sends it, for a whole frame; its mask is the one given."""
    data = bytearray(frame.serialize(mask=False))
    size = len(frame.data)
    data[1] |= 0x80
    start = len(data) - size
    return bytes(data[:start]) + mask + unmasked(bytes(frame.data), mask)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


sizes = st.sampled_from([0, 1, 124, 125, 126, 127, 300, 65_535, 65_536])
payloads = st.builds(lambda size, byte: bytes([byte]) * size, sizes, st.integers(0, 255))
masks = st.binary(min_size=4, max_size=4)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[tuple[Opcode, bytes]]]:
    """Bytes of a client that keeps to the protocol, and what they say: control frames stand between parts."""
    data, said = b"", []
    for _ in range(draw(st.integers(1, 4))):
        opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
        parts = draw(st.lists(payloads, min_size=1, max_size=3))
        if sum(map(len, parts)) > SIZE_MAX:
            parts = parts[:1]
        for number, part in enumerate(parts):
            kind = TheirOpcode(opcode) if number == 0 else TheirOpcode.CONT
            data += sent_by_client(Frame(kind, part, fin=number == len(parts) - 1), draw(masks))
            if number < len(parts) - 1 and draw(st.booleans()):
                ping = draw(st.binary(max_size=125))
                data += sent_by_client(Frame(TheirOpcode.PING, ping), draw(masks))
                said.append((Opcode.PING, ping))
        said.append((opcode, b"".join(parts)))
    return data, said


@given(conversations(), st.lists(st.integers(0, 1 << 20), max_size=6))
def test_what_was_said_is_read_however_it_is_cut(
    spoken: tuple[bytes, list[tuple[Opcode, bytes]]], cuts: list[int]
) -> None:
    data, said = spoken
    decoder = Decoder(size_max=SIZE_MAX)
    found = []
    for piece in pieces(data, cuts):
        decoder.feed(piece)
        found += list(read(decoder))
    assert found == said


def code_of(error: Exception | None) -> int | None:
    """Return the close code for what `websockets` has found."""
    if error is None:
        return None
    assert isinstance(error, ProtocolError | PayloadTooBig | UnicodeDecodeError)
    return {PayloadTooBig: TOO_BIG, UnicodeDecodeError: NOT_UTF8}.get(type(error), PROTOCOL_ERROR)


@given(st.binary(min_size=1, max_size=40))
def test_nonsense_ends_as_it_does_with_websockets(data: bytes) -> None:
    theirs = Protocol(SERVER, state=OPEN, max_size=SIZE_MAX)
    theirs.receive_data(data)
    decoder = Decoder(size_max=SIZE_MAX)
    decoder.feed(data)
    code, closed = None, False
    try:
        for opcode, payload in read(decoder):
            if opcode is Opcode.CLOSE:
                read_close(payload)
                closed = True
                break
    except FramingFailed as error:
        code = error.code
    if not closed:
        # A head that breaks the protocol is judged here as soon as it is there, and there behind its size or its frame.
        assert code in (PROTOCOL_ERROR, code_of(theirs.parser_exc)), data


@given(payloads)
def test_a_text_frame_is_read_by_websockets(text: bytes) -> None:
    client = Protocol(CLIENT, state=OPEN, max_size=None)
    client.receive_data(text_frame(text))
    (event,) = client.events_received()
    assert isinstance(event, Frame)
    assert (event.opcode, event.data, event.fin) == (TheirOpcode.TEXT, text, True)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_lengths_take_as_many_bits_as_they_need(size: int) -> None:
    expected = Frame(TheirOpcode.TEXT, b"x" * size).serialize(mask=False)
    assert text_frame(b"x" * size) == expected


def test_a_message_in_many_frames_has_one_bound() -> None:
    decoder = Decoder(size_max=10)
    decoder.feed(sent_by_client(Frame(TheirOpcode.TEXT, b"123456", fin=False)))
    assert decoder.next() is None
    decoder.feed(sent_by_client(Frame(TheirOpcode.CONT, b"78901", fin=True)))
    with pytest.raises(FramingFailed) as failed:
        decoder.next()
    assert failed.value.code == TOO_BIG


def test_an_announced_size_is_refused_before_it_has_come() -> None:
    decoder = Decoder(size_max=10)
    decoder.feed(bytes([0x81, 0xFF]) + (1 << 40).to_bytes(8, "big"))
    with pytest.raises(FramingFailed) as failed:
        decoder.next()
    assert failed.value.code == TOO_BIG


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"\x03", PROTOCOL_ERROR), (b"\x03\xed", PROTOCOL_ERROR), (b"\x03\xe8\xff", NOT_UTF8)],
)
def test_a_close_frame_that_says_nonsense(payload: bytes, code: int) -> None:
    with pytest.raises(FramingFailed) as failed:
        read_close(payload)
    assert failed.value.code == code


def test_close_frames_are_read_by_websockets() -> None:
    client = Protocol(CLIENT, state=OPEN)
    client.receive_data(close_frame(4400, "bad") + control_frame(Opcode.PING, b"late"))
    assert client.close_rcvd == Close(4400, "bad")
