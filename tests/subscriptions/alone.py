"""The tests' small schema as a server process of its own: `python -m tests.subscriptions.alone PORT`."""

from __future__ import annotations

import asyncio
import sys

import uvicorn

from subscriptions.draining import Server
from subscriptions.frames import WebSocketConnection
from tests.subscriptions.serving import application, services_of


def main(port: int) -> None:
    app = application(services_of(slow_reader_patience_s=3))
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, lifespan="off", ws=WebSocketConnection, ws_ping_interval=None
    )
    asyncio.run(Server(config, drain=app.graphql.drain).serve())


if __name__ == "__main__":
    main(int(sys.argv[1]))
