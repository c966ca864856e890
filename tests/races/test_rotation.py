"""The platform's keys change in the middle of a storm of callbacks: what is true passes, what is false does not."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from pydantic import SecretStr
from starlette.applications import Starlette

from domain.payments.ports import TradeState
from endpoints import callbacks
from gateways.assembly import third_parties
from gateways.assembly_payments import wechat_pay, wechat_pay_keys, wires_of
from gateways.key_source import KeySource
from kernel.clock import utc_now
from kernel.settings import Environment, Settings
from models.jobs import Job
from models.payments import CallbackNonce, ThirdPartyNotice
from sandbox.keys import load_or_create
from sandbox.store import Kind, Store
from tests.gateways.stand_ins import Signer, read_private_key
from tests.gateways.test_wechat_pay_notices import trade_document
from tests.races.conftest import OpenHouse, delivered
from tests.sandbox_fixtures import Sandbox

ROUNDS = 4
PER_ROUND = 12
# A download a second at the most, and one may have begun just before the count did.
SLACK = 2


@pytest.fixture(scope="session")
def forger() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture(autouse=True)
def keys_by_certificates(sandbox: Sandbox) -> Iterator[None]:
    """Leave the sandbox as it was: the other tests know its first certificate."""
    yield
    serial = (sandbox.keys / "wechat_pay_platform_serial").read_text()
    sandbox.control("rotate-certificate", use=serial)
    sandbox.control("key-mode", mode="certificates")


@dataclass(frozen=True)
class Door:
    """The endpoints of a house that knows no certificate yet."""

    client: httpx.AsyncClient
    settings: Settings
    sandbox: Sandbox

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        return (await self.client.post("/callbacks/wechat-pay", content=body, headers=headers)).status_code

    def hand(self, serial: str) -> Signer:
        """Return the platform's own hand by one of its certificates, old or new."""
        store = Store(self.sandbox.data_dir / "sandbox" / "sandbox.db")
        try:
            found = store.get(Kind.CERTIFICATE, serial)
        finally:
            store.close()
        assert found is not None
        path = self.sandbox.data_dir / f"{serial}.pem"
        path.write_text(found["private_key"])
        return Signer(read_private_key(path), self.secret, serial)

    @property
    def secret(self) -> bytes:
        return (self.sandbox.keys / "wechat_pay_api_v3_key").read_bytes()

    def by_public_key(self) -> Signer:
        keys = load_or_create(self.sandbox.keys)
        return Signer(keys.public_key_private, keys.api_v3_key, keys.public_key_id)

    def notice(self, hand: Signer) -> tuple[bytes, dict[str, str]]:
        """Return a callback that was never sent before, with its signature."""
        document = trade_document(self.settings, out_trade_no=secrets.token_hex(12))
        body = hand.pay_notice("TRANSACTION.SUCCESS", document, id=f"EV-{secrets.token_hex(12)}")
        return body, hand.pay_headers(body)

    def downloads(self) -> int:
        return int(self.sandbox.state()["platform"]["downloads"])


@pytest.fixture
async def door(database: str, sandbox: Sandbox) -> AsyncIterator[Door]:
    settings = sandbox.settings(third_party_timeout_s=30)
    async with third_parties(settings) as parties:
        app = Starlette(routes=callbacks.routes(lambda: parties, settings))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://house") as client:
            yield Door(client, settings, sandbox)


def rotated(sandbox: Sandbox, **wish: Any) -> str:
    return str(sandbox.control("rotate-certificate", **wish)["serial"])


async def test_a_storm_during_rotations(door: Door, forger: RSAPrivateKey) -> None:
    """Old and new certificates and the public key sign while certificates change; forgers sign under every number."""
    sandbox, began, before = door.sandbox, time.monotonic(), door.downloads()
    serials = [str(sandbox.state()["platform"]["in_use"])]
    answers: list[tuple[bool, int]] = []

    async def post(true: bool, body: bytes, headers: dict[str, str]) -> None:
        answers.append((true, await door.post(body, headers)))

    for _ in range(ROUNDS):
        serials.append(await asyncio.to_thread(rotated, sandbox))
        hands = [door.hand(serial) for serial in serials[-2:]] + [door.by_public_key()]
        posts = []
        for number in range(PER_ROUND):
            hand = hands[number % len(hands)]
            posts.append(post(True, *door.notice(hand)))
            invented = secrets.token_hex(20).upper()
            for serial in (hand.serial, invented):
                posts.append(post(False, *door.notice(Signer(forger, door.secret, serial))))
            body, headers = door.notice(hand)
            posts.append(post(False, body.replace(b"EV-", b"EW-"), headers))
        await asyncio.gather(*posts)
    assert Counter(answers) == {(True, 204): ROUNDS * PER_ROUND, (False, 401): 3 * ROUNDS * PER_ROUND}
    assert await ThirdPartyNotice.all().count() == ROUNDS * PER_ROUND
    assert await Job.filter(kind="apply_notice").count() == ROUNDS * PER_ROUND
    assert door.downloads() - before <= time.monotonic() - began + SLACK


async def test_a_new_certificate_is_known_before_it_signs(door: Door) -> None:
    first = str(door.sandbox.state()["platform"]["in_use"])
    new = rotated(door.sandbox, publish_only=True)
    assert door.sandbox.state()["platform"]["in_use"] == first
    for serial in (first, new):
        assert await door.post(*door.notice(door.hand(serial))) == 204


async def test_an_old_certificate_is_refused_once_it_has_expired(door: Door) -> None:
    old = door.hand(rotated(door.sandbox))
    new = rotated(door.sandbox, overlap_s=0)
    assert await door.post(*door.notice(door.hand(new))) == 204
    assert await door.post(*door.notice(old)) == 401
    assert await ThirdPartyNotice.all().count() == 1


@pytest.mark.parametrize("fault", ["error_500", "forged", "wrong_key"])
async def test_while_certificates_cannot_be_had_the_sender_is_asked_to_repeat(door: Door, fault: str) -> None:
    """What cannot be verified now is neither believed nor refused for good, and passes once it can be."""
    hand = door.hand(rotated(door.sandbox))
    body, headers = door.notice(hand)
    door.sandbox.faults(certificates=fault)
    assert await door.post(body, headers) == 503
    assert await ThirdPartyNotice.all().count() == 0
    assert await CallbackNonce.all().count() == 0
    door.sandbox.clear_faults()
    assert await door.post(body, headers) == 204


async def test_without_any_given_key_a_house_starts_and_learns(door: Door) -> None:
    """Production may give no key of the platform at all: the APIv3 key is what certificates are known by."""
    keys = door.sandbox.keys
    settings = Settings(
        environment=Environment.PRODUCTION,
        public_url="http://127.0.0.1:1",
        wechat_pay_url=door.sandbox.url,
        wechat_pay_certificate_serial=(keys / "wechat_pay_certificate_serial").read_text(),
        wechat_pay_private_key_path=keys / "wechat_pay_private_key.pem",
        wechat_pay_api_v3_key=SecretStr(door.secret.decode()),
    )
    source = KeySource(settings)
    found = wechat_pay_keys(source)
    assert source.problems == []
    assert found is not None
    assert found.platform_keys == ()
    async with httpx.AsyncClient(base_url=door.sandbox.url, trust_env=False) as client:
        _, (wire,) = wires_of(settings, found, [client])
        body, headers = door.notice(door.hand(str(door.sandbox.state()["platform"]["in_use"])))
        envelope = await wire.open(headers=headers, body=body, now=utc_now())
        assert envelope.event == "TRANSACTION.SUCCESS"
        channel = wechat_pay(settings, wire, sub_mchid="1900000209", sub_mchids=frozenset({"1900000209"}))
        assert (await channel.query("nobody-1")).state is TradeState.NOT_FOUND


@pytest.mark.parametrize("mode", ["certificates", "public_key", "both"])
async def test_a_payment_in_every_mode(house: OpenHouse, listener: Any, mode: str) -> None:
    house.sandbox.control("key-mode", mode=mode)
    order = await house.paid_order()
    (payment,) = await delivered(listener, "TRANSACTION.SUCCESS")
    assert await house.post(payment) == 204
    await house.apply()
    assert (await house.attempt(order)).state == "PAID"
    await house.assert_true()


async def test_every_false_callback_is_refused_by_the_house_itself(reachable_house: OpenHouse) -> None:
    """The sandbox sends what a forger, a meddler or WeChat Pay's own probe would send, over HTTP."""
    house = reachable_house
    order = await house.paid_order()
    number = (await house.attempt(order)).out_trade_no
    await house.sandbox.wait_until(lambda: house.sandbox.callbacks(number)[0]["delivered_at"])

    async def send(how: str) -> int:
        answer = await asyncio.to_thread(lambda: house.sandbox.control("send-callback", subject=number, how=how))
        return int(answer["status"])

    for how in ("forged", "unknown_serial", "altered", "stale", "future", "nonce_reused", "probe"):
        assert await send(how) == 401, how
    assert await send("replayed") == 204
    assert await ThirdPartyNotice.all().count() == 1
    assert await Job.filter(kind="apply_notice").count() == 1
    await house.apply()
    assert (await house.attempt(order)).state == "PAID"
    await house.assert_true()


async def test_copies_of_one_delivery_at_once_use_one_nonce(door: Door) -> None:
    body, headers = door.notice(door.by_public_key())
    answers = await asyncio.gather(*(door.post(body, headers) for _ in range(20)))
    assert set(answers) == {204}
    assert await CallbackNonce.all().count() == 1
    hand = door.by_public_key()
    other = json.dumps({**json.loads(body), "id": "EV-another"}).encode()
    stolen = hand.pay_headers(other, nonce=headers["Wechatpay-Nonce"])
    assert await door.post(other, stolen) == 401
    assert await ThirdPartyNotice.all().count() == 1
    assert await Job.filter(kind="apply_notice").count() == 1
