"""What the aggregators have in common: recharges on a deposit, callbacks, bills, and everything that can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kernel.clock import SHANGHAI, utc_now
from kernel.settings import Settings
from sandbox.answers import Refused
from sandbox.courier import Courier
from sandbox.crypto import random_digits
from sandbox.faults import AGGREGATOR_ACCEPTING as ACCEPTING_FAULTS
from sandbox.faults import BILL_FAULTS, Faults
from sandbox.issuer_bills import of_day, write_bill
from sandbox.store import Document, Kind, Store

DEPOSIT_FEN = 100_000_000
BASIS_POINTS = 10_000
CLOSING_FAULTS = frozenset({"low_deposit", "maintenance", "unknown_code", "refuse_at_once"})
SHOWN_MAX = 50

# Writes the body of a callback by the recharge and the fault that it was accepted under.
WriteNotice = Callable[[Document, str], bytes]


class NotTakenOn(Exception):
    """The aggregator does not take the recharge on; `fault` says why, and each vendor has its own code for it."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        super().__init__(fault)


@dataclass(frozen=True, slots=True)
class World:
    """What every aggregator is given."""

    settings: Settings
    store: Store
    faults: Faults
    courier: Courier


class Aggregator:
    """One vendor's books. Recharges are kept by the attempt, the deposit in fen; a repeated number changes nothing."""

    def __init__(self, name: str, world: World, *, secret: str, encoding: str, write_notice: WriteNotice) -> None:
        self.name, self._settings, self._store = name, world.settings, world.store
        self._faults, self._courier = world.faults, world.courier
        self._secret, self._encoding, self._write_notice = secret.encode(), encoding, write_notice

    def resume(self) -> None:
        """Finish the recharges that a stop of the sandbox interrupted."""
        for recharge in self._mine():
            if recharge["state"] == "PROCESSING" and recharge["course"]:
                self._start(recharge)

    def state(self) -> Document:
        recharges = [each for each in self._store.newest(Kind.AGGREGATED, SHOWN_MAX) if each["issuer"] == self.name]
        return {self.name: {"deposit_fen": self.deposit_fen, "recharges": recharges}}

    @property
    def deposit_fen(self) -> int:
        return int((self._store.get(Kind.DEPOSIT, self.name) or {}).get("fen", DEPOSIT_FEN))

    def set_deposit(self, fen: int) -> None:
        self._store.put(Kind.DEPOSIT, self.name, {"fen": fen})

    def has_fault(self, mode: str) -> bool:
        return self._faults.take(self.name, among=frozenset({mode})) == mode

    def find(self, attempt_id: str) -> Document | None:
        return self._store.get(Kind.AGGREGATED, f"{self.name}:{attempt_id}")

    def accept(self, *, attempt_id: str, brand: str, card_tail: str, amount_fen: int, notify_url: str) -> Document:
        """Take a recharge on, or return the one with this number. Raises NotTakenOn."""
        known = self.find(attempt_id)
        if known is not None:
            return known
        mode = self._faults.take(self.name, among=ACCEPTING_FAULTS)
        cost_fen = self.price_fen(brand, amount_fen)
        if mode in CLOSING_FAULTS:
            raise NotTakenOn(mode)
        if cost_fen > self.deposit_fen:
            raise NotTakenOn("low_deposit")
        now = utc_now()
        recharge: Document = {
            "attempt_id": attempt_id,
            "issuer": self.name,
            "issuer_order_id": f"{self.name[0].upper()}{now.astimezone(SHANGHAI):%Y%m%d%H%M%S}{random_digits(10)}",
            "state": "PROCESSING",
            "brand": brand,
            "card_tail": card_tail,
            "amount_fen": amount_fen,
            "cost_fen": cost_fen,
            "notify_url": notify_url,
            "mode": mode,
            "course": _course(mode),
            "settles_at": (now + timedelta(milliseconds=self._faults.issuer_delay_ms)).isoformat(),
            "settled_at": None,
        }
        self._put(recharge)
        if recharge["course"]:
            self._start(recharge)
        return recharge

    def settle(self, attempt_id: str, state: str) -> Document | None:
        """Bring a recharge to SUCCEEDED, REFUSED or REVERSED, move the deposit, and say so. Raises Refused."""
        recharge = self.find(attempt_id)
        if recharge is None:
            return None
        if state == "REVERSED" and recharge["state"] != "SUCCEEDED":
            raise Refused(409, "NOT_SUCCEEDED", "only a recharge that has succeeded can be reversed")
        moved_fen = recharge["cost_fen"] * ((recharge["state"] == "SUCCEEDED") - (state == "SUCCEEDED"))
        self.set_deposit(self.deposit_fen + moved_fen)
        recharge.update(state=state, settled_at=utc_now().isoformat())
        self._put(recharge)
        self._tell(recharge)
        return recharge

    def bill(self, day: str) -> bytes | None:
        """Write a day's bill; None where it is not made yet."""
        fault = self._faults.take(self.name, among=BILL_FAULTS | {"bill_not_ready"})
        if fault == "bill_not_ready":
            return None
        recharges = of_day(self._mine(), day)
        return write_bill(recharges, secret=self._secret, digest="md5", encoding=self._encoding, fault=fault)

    def price_fen(self, brand: str, amount_fen: int) -> int:
        price = self._settings.issuer_cost_basis_points[self.name][brand]
        return (amount_fen * price + BASIS_POINTS // 2) // BASIS_POINTS

    def _mine(self) -> list[Document]:
        return self._store.where(Kind.AGGREGATED, "issuer", self.name)

    def _put(self, recharge: Document) -> None:
        self._store.put(Kind.AGGREGATED, f"{self.name}:{recharge['attempt_id']}", recharge)

    def _start(self, recharge: Document) -> None:
        self._courier.start(self._play(recharge["attempt_id"]), name=f"{self.name} recharge")

    async def _play(self, attempt_id: str) -> None:
        recharge = self.find(attempt_id)
        assert recharge is not None
        wait_s = (datetime.fromisoformat(recharge["settles_at"]) - utc_now()).total_seconds()
        await asyncio.sleep(max(0.0, wait_s))
        for state in recharge["course"]:
            self.settle(attempt_id, state)
            await asyncio.sleep(self._faults.issuer_delay_ms / 1_000)

    def _tell(self, recharge: Document) -> None:
        """Send the callback; `forged` one that lies about the end, and with another signature where there is one."""
        mode = recharge["mode"]
        if mode == "silent":
            return
        forged = "REFUSED" if recharge["state"] == "SUCCEEDED" else "SUCCEEDED"
        told = {**recharge, "state": forged} if mode == "forged" else recharge
        self._courier.send(
            id=f"{self.name}-{random_digits(18)}",
            sender=self.name,
            event=recharge["state"],
            subject=recharge["attempt_id"],
            url=recharge["notify_url"],
            body=self._write_notice(told, mode),
        )


def _course(mode: str) -> list[str]:
    """Return what becomes of a recharge, one after the other."""
    return {
        "stuck": [],
        "refuse": ["REFUSED"],
        "success_after_failure": ["REFUSED", "SUCCEEDED"],
        "reversal": ["SUCCEEDED", "REVERSED"],
    }.get(mode, ["SUCCEEDED"])
