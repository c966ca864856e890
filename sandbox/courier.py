"""Callbacks: sent at once, and again with growing pauses until the receiver says that it has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx

from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.tasks import cancel_and_wait, spawn
from sandbox.faults import Faults
from sandbox.store import Document, Kind, Store

PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
TIMEOUT_S = 5.0
# A receiver that is away for long owes hundreds of answers; they are not all waited for at the same time.
TRIES_AT_ONCE_MAX = 32
LOWEST_REDIRECT = 300
AT_ONCE, OLDEST_FIRST, NEWEST_FIRST = "at_once", "oldest_first", "newest_first"
ORDERS = (AT_ONCE, OLDEST_FIRST, NEWEST_FIRST)

Signer = Callable[[bytes], dict[str, str]]
Taken = Callable[[httpx.Response], bool]

log = get_logger(__name__)


class Courier:
    """Delivers what the third parties have to tell. A delivery is stored first, so that a restart continues it.

    Each try is signed anew (new timestamp, new nonce) over the same body with the same id.
    """

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store, self._faults = store, faults
        self._signers: dict[str, Signer] = {}
        self._taken: dict[str, Taken] = {}
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        self._turns = asyncio.Semaphore(TRIES_AT_ONCE_MAX)
        self._tasks: set[asyncio.Task[object]] = set()

    def add_sender(self, sender: str, signer: Signer, *, taken: Taken = lambda answer: answer.is_success) -> None:
        """Introduce a third party: how it signs a body by headers, and which answer says that it was taken."""
        self._signers[sender], self._taken[sender] = signer, taken

    def start(self, work: Coroutine[Any, Any, object], *, name: str) -> None:
        """Run work of a third party in the background until the sandbox stops."""
        task = spawn(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def send(self, *, id: str, sender: str, event: str, subject: str, url: str, body: bytes) -> None:
        """Store a callback about `subject` (a number that the house gave) and begin to deliver it.

        A fault may hold it until it is asked for by `repeat`, or send it twice at once.
        """
        fault = self._faults.take("callbacks", among=frozenset({"hold", "twice"}))
        delivery: Document = {
            "id": id,
            "sender": sender,
            "event": event,
            "subject": subject,
            "url": url,
            "body": body.decode(),
            "tries": [],
            "delivered_at": None,
            "held": fault == "hold",
        }
        self._store.put(Kind.DELIVERY, id, delivery)
        if fault == "hold":
            return
        self.start(self._deliver(id), name=f"callback {event}")
        if fault == "twice":
            self.start(self._try(id), name=f"callback {event} again")

    def resume(self) -> None:
        """Continue what a stop of the sandbox interrupted."""
        for delivery in self._store.where(Kind.DELIVERY, "delivered_at", None):
            if len(delivery["tries"]) <= len(PAUSES_S) and not delivery.get("held"):
                self.start(self._deliver(delivery["id"]), name=f"callback {delivery['event']}")

    def repeat(self, subject: str, order: str = AT_ONCE) -> int:
        """Deliver every callback about the subject once more, as third parties do now and then. Returns how many.

        Held ones go out now. In an order each waits for the answer to the one before it.
        """
        deliveries = self._store.where(Kind.DELIVERY, "subject", subject)
        if order == NEWEST_FIRST:
            deliveries.reverse()
        for delivery in deliveries:
            self._store.put(Kind.DELIVERY, delivery["id"], {**delivery, "held": False})
        if order == AT_ONCE:
            for delivery in deliveries:
                self.start(self._send_again(delivery), name=f"callback {delivery['event']} again")
        else:
            self.start(self._one_by_one(deliveries), name=f"callbacks about {subject} again")
        return len(deliveries)

    async def _one_by_one(self, deliveries: list[Document]) -> None:
        for delivery in deliveries:
            await self._send_again(delivery)

    async def _send_again(self, delivery: Document) -> None:
        # What was held has never been sent, so it is also repeated until it is taken.
        if not await self._try(delivery["id"]) and delivery.get("held"):
            self.start(self._deliver(delivery["id"]), name=f"callback {delivery['event']}")

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Send once what belongs to no delivery, and return the status of the answer, or 0 where there was none."""
        try:
            headers = {"Content-Type": "application/json", **headers}
            return (await self._client.post(url, content=body, headers=headers)).status_code
        except httpx.HTTPError:
            return 0

    async def stop(self) -> None:
        await cancel_and_wait(*self._tasks)
        await self._client.aclose()

    async def _deliver(self, id: str) -> None:
        for pause_s in (*PAUSES_S, None):
            if await self._try(id):
                return
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        log.warning("sandbox.callback_given_up", id=id)

    async def _try(self, id: str) -> bool:
        delivery = self._store.get(Kind.DELIVERY, id)
        assert delivery is not None
        body = delivery["body"].encode()
        headers: dict[str, str] = {}
        try:
            async with self._turns:
                headers = {"Content-Type": "application/json", **self._signers[delivery["sender"]](body)}
                response = await self._client.post(delivery["url"], content=body, headers=headers)
        except httpx.HTTPError as error:
            result, delivered = type(error).__name__, False
        else:
            result, delivered = str(response.status_code), self._taken[delivery["sender"]](response)
        # Another try of the same delivery may have written in the meantime.
        delivery = self._store.get(Kind.DELIVERY, id) or delivery
        now = utc_now().isoformat()
        delivery["tries"].append({"at": now, "result": result})
        delivery["headers"] = headers
        if delivered:
            delivery["delivered_at"] = delivery["delivered_at"] or now
        self._store.put(Kind.DELIVERY, id, delivery)
        log.info("sandbox.callback", event_type=delivery["event"], subject=delivery["subject"], result=result)
        return delivered
