"""WebSocket frames (RFC 6455, section 5) as a server reads and writes them, without extensions.

https://www.rfc-editor.org/rfc/rfc6455#section-5
"""

from __future__ import annotations

from enum import IntEnum

from websockets.exceptions import ProtocolError
from websockets.frames import Close

FINAL, RESERVED, OPCODE = 0x80, 0x70, 0x0F
MASKED, LENGTH = 0x80, 0x7F
LENGTH_7_BITS_MAX, LENGTH_16_BITS_MAX = 125, 0xFFFF
IN_16_BITS, IN_64_BITS = 126, 127
MASK_SIZE = 4
CONTROL_SIZE_MAX = 125

PROTOCOL_ERROR, NOT_UTF8, TOO_BIG = 1002, 1007, 1009


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


CONTROLS = frozenset({Opcode.CLOSE, Opcode.PING, Opcode.PONG})
OPCODES = {int(each): each for each in Opcode}


class FramingFailed(Exception):
    """The client has broken the protocol: the close code that says how, and a reason for people."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Decoder:
    """Takes bytes as they come, and gives messages, whole ones, and control frames, which may stand between the parts
    of a message. A message has at most `size_max` bytes, however many frames it is in."""

    __slots__ = ("_bytes", "_message", "_opcode", "_size_max")

    def __init__(self, *, size_max: int) -> None:
        self._size_max = size_max
        # Empty most of the time, and then nothing is kept.
        self._bytes: bytearray | None = None
        self._message: bytearray | None = None
        self._opcode = Opcode.TEXT

    def feed(self, data: bytes) -> None:
        if self._bytes is None:
            self._bytes = bytearray(data)
        else:
            self._bytes += data

    def next(self) -> tuple[Opcode, bytes] | None:
        """Return the next message or control frame, None where it is not whole yet. Raises FramingFailed."""
        while self._bytes:
            frame = self._frame(self._bytes)
            if frame is None:
                return None
            found = self._taken(*frame)
            if found is not None:
                return found
        return None

    def _frame(self, data: bytearray) -> tuple[bool, Opcode, bytes] | None:
        """Take one frame off the bytes: whether it is final, its opcode and its payload."""
        if len(data) < 2:  # noqa: PLR2004 -- the shortest head.
            return None
        opcode = self._checked(data[0], data[1])
        size, start = data[1] & LENGTH, 2
        if size >= IN_16_BITS:
            start += 2 if size == IN_16_BITS else 8
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start], "big")
            if opcode in CONTROLS:
                raise FramingFailed(PROTOCOL_ERROR, "a control frame is too long")
        if opcode not in CONTROLS and size + len(self._message or b"") > self._size_max:
            raise FramingFailed(TOO_BIG, f"a message has at most {self._size_max} bytes")
        end = start + MASK_SIZE + size
        if len(data) < end:
            return None
        payload = unmasked(data[start + MASK_SIZE : end], data[start : start + MASK_SIZE])
        final = bool(data[0] & FINAL)
        if len(data) == end:
            self._bytes = None
        else:
            del data[:end]
        return final, opcode, payload

    def _checked(self, first: int, second: int) -> Opcode:
        opcode = OPCODES.get(first & OPCODE)
        if opcode is None:
            raise FramingFailed(PROTOCOL_ERROR, "unknown opcode")
        if first & RESERVED:
            raise FramingFailed(PROTOCOL_ERROR, "reserved bits must be 0")
        if not second & MASKED:
            raise FramingFailed(PROTOCOL_ERROR, "a client's frames are masked")
        if opcode in CONTROLS:
            if not first & FINAL:
                raise FramingFailed(PROTOCOL_ERROR, "a control frame is in one piece")
        elif (opcode is Opcode.CONTINUATION) is (self._message is None):
            raise FramingFailed(PROTOCOL_ERROR, "a message is in pieces that follow each other")
        return opcode

    def _taken(self, final: bool, opcode: Opcode, payload: bytes) -> tuple[Opcode, bytes] | None:
        if opcode in CONTROLS:
            return opcode, payload
        if opcode is not Opcode.CONTINUATION:
            self._opcode = opcode
            if final:
                return opcode, payload
            self._message = bytearray(payload)
            return None
        assert self._message is not None, "what is continued has begun"
        self._message += payload
        if not final:
            return None
        whole, self._message = bytes(self._message), None
        return self._opcode, whole


def unmasked(data: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """Return masked bytes as they were, or mask them (section 5.3)."""
    size = len(data)
    key = bytes(mask) * (size // MASK_SIZE + 1)
    return (int.from_bytes(data, "little") ^ int.from_bytes(key[:size], "little")).to_bytes(size, "little")


def text_frame(text: bytes) -> bytes:
    """Return a text frame in one piece, as a server sends it."""
    size = len(text)
    if size <= LENGTH_7_BITS_MAX:
        return bytes((FINAL | Opcode.TEXT, size)) + text
    if size <= LENGTH_16_BITS_MAX:
        return b"\x81\x7e" + size.to_bytes(2, "big") + text
    return b"\x81\x7f" + size.to_bytes(8, "big") + text


def control_frame(opcode: Opcode, payload: bytes = b"") -> bytes:
    assert opcode in CONTROLS
    assert len(payload) <= CONTROL_SIZE_MAX
    return bytes((FINAL | opcode, len(payload))) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; the reason has at most 123 bytes."""
    return control_frame(Opcode.CLOSE, Close(code, reason).serialize())


def read_close(payload: bytes) -> tuple[int, str]:
    """Return the code and the reason of a close frame, 1005 where it has none. Raises FramingFailed."""
    try:
        close = Close.parse(payload)
    except UnicodeDecodeError:
        raise FramingFailed(NOT_UTF8, "the reason is not UTF-8") from None
    except ProtocolError as error:
        raise FramingFailed(PROTOCOL_ERROR, str(error)) from None
    return close.code, close.reason
