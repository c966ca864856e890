"""Bytes that are kept for long take no more memory than they are long."""

from __future__ import annotations


def exact(encoded: bytes) -> bytes:
    """Return a copy without the room that orjson leaves behind what it encodes: up to seven times as much again."""
    return bytes(memoryview(encoded))
