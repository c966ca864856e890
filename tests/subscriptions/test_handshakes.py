"""The opening of a WebSocket below what a client library would send."""

from __future__ import annotations

import asyncio

import pytest

from tests.subscriptions.serving import services_of, serving

HEAD = (
    b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n"
)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (b"", b"101"),
        # Bytes of headers are Latin-1, or nothing that anybody knows (RFC 9110, section 5.5).
        (b"X-Any: \xff\x80\xe9\r\n", b"101"),
        (b"Accept-Language: \xe4\xb8\xad\r\n", b"101"),
        (b"Origin: https://evil.example\r\n", b"403"),
    ],
)
async def test_what_a_handshake_is_answered_with(more: bytes, status: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    async with serving(services_of()) as address:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(HEAD + more + b"\r\n")
        async with asyncio.timeout(20):
            line = await reader.readline()
        writer.close()
    assert line.split(b" ")[1] == status
    assert "Traceback" not in "".join(capfd.readouterr())
