"""The hostile bench tells who was dropped, after how long, and whether others were served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.hostile import load
from bench.hostile.__main__ import main, missed
from bench.hostile.load import SLOW, Result, Served, crowd, trickle

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n"


@asynccontextmanager
async def server(*, drops_after_s: float | None, body: bytes) -> AsyncIterator[str]:
    """A server that answers whole requests, and drops what is none after a while, or never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(drops_after_s):
                while head := await reader.readuntil(b"\r\n\r\n"):
                    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0] or 0)
                    await reader.readexactly(length)
                    writer.write(OK + body)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("name", SLOW)
async def test_who_is_dropped_is_timed_and_others_are_counted(name: str) -> None:
    async with server(drops_after_s=0.3, body=b'{"data":{"a":1}}') as url:
        result = await crowd(name, url, count=5)
    assert (len(result.lasted_s), result.left) == (5, 0)
    assert min(result.lasted_s) >= 0.25
    assert result.served.latencies_ms


async def test_an_answer_with_errors_is_no_service() -> None:
    async with server(drops_after_s=0.2, body=b'{"errors":["xx"]}'[:16]) as url:
        result = await crowd("idle sockets", url, count=1)
    assert result.served.share == 0.0
    assert result.served.failed > 0


async def test_who_outlasts_the_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "GIVE_UP_AFTER_S", 0.2)
    async with server(drops_after_s=None, body=b"") as url:
        host, _, port = url.removeprefix("http://").partition(":")
        assert await trickle(host, int(port), b"", b"") is None


def test_each_bar_is_looked_at() -> None:
    good = Result("good", [1.0, 14.0], 0, Served([1.0] * 100))
    late = Result("late", [16.0], 0, Served([1.0]))
    left = Result("left", [1.0], 1, Served([1.0]))
    rude = Result("rude", [1.0], 0, Served([1.0] * 98, failed=2))
    assert missed([good, late, left, rude], within_s=15.0, served_min=0.99) == ["late", "left", "rude"]


@pytest.mark.parametrize("arguments", [["--count", "0"], ["--count", "9999999"], ["--flooding", "0"]])
def test_a_run_has_bounds(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert "1 to" in capsys.readouterr().err
