"""A client of its own process that can be killed at any moment: it keeps its cursor in a file and goes on from there.

Arguments: the file, the token, the cursor to begin with, and the ports of the servers. Each line of the file is one
event: its cursor, and when it came.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from pathlib import Path

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

QUERY = "subscription ($after: String) { arrivals(after: $after) { __typename ... on StreamEvent { cursor } } }"
SILENCE_MAX_S = 5.0
PAUSE_S = 0.1


def lines_of(file: Path) -> list[str]:
    """Return the complete lines; the last one may have been cut off by a kill."""
    return file.read_text().split("\n")[:-1] if file.exists() else []


def listen(file: Path, token: str, begin: str, port: str) -> None:
    lines = lines_of(file)
    cursor = lines[-1].split(" ")[0] if lines else begin
    protocol = Subprotocol("graphql-transport-ws")
    with (
        connect(f"ws://127.0.0.1:{port}/graphql", subprotocols=[protocol], open_timeout=2, proxy=None) as socket,
        file.open("a") as written,
    ):
        socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
        assert json.loads(socket.recv(SILENCE_MAX_S))["type"] == "connection_ack"
        payload = {"query": QUERY, "variables": {"after": cursor}}
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        while True:
            message = json.loads(socket.recv())
            if message["type"] == "ping":
                socket.send(json.dumps({"type": "pong"}))
            elif message["type"] == "next":
                event = message["payload"]["data"]["arrivals"]
                assert event["__typename"] == "ArrivalEvent", event
                written.write(f"{event['cursor']} {time.time()}\n")
                written.flush()
            else:
                raise OSError(message)


def main() -> None:
    file, token, begin, *ports = sys.argv[1:]
    # A line that was cut off is written anew.
    Path(file).write_text("".join(f"{line}\n" for line in lines_of(Path(file))))
    random.shuffle(ports)
    for port in itertools.cycle(ports):
        try:
            listen(Path(file), token, begin, port)
        except (WebSocketException, OSError, TimeoutError, EOFError) as error:
            sys.stderr.write(f"{type(error).__name__} {error}\n")
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
