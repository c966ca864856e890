"""The ring of the platform's keys: what it accepts when, and how seldom it asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key

from gateways.documents import Malformed
from gateways.signing import NotDecryptable
from gateways.wechat_pay_keyring import (
    UNKNOWN_KEPT_MAX,
    WAITING_MAX,
    Keyring,
    KeysUnavailable,
    PlatformKey,
    read_certificates,
)
from kernel.clock import utc_now
from sandbox.keys import load_or_create
from sandbox.store import Store
from sandbox.wechat_pay_hand import Hand
from tests.sandbox_fixtures import Sandbox
from tests.subscriptions.support import eventually

KEY: RSAPublicKey = generate_private_key(65537, 2048).public_key()
INTERVAL_S = 0.2


class Platform:
    """Hands out certificates, and remembers when it was asked."""

    def __init__(self, *keys: PlatformKey) -> None:
        self.keys: list[PlatformKey] = list(keys)
        self.asked_at: list[float] = []
        self.fails = False
        self.takes_s = 0.0

    async def download(self) -> Sequence[PlatformKey]:
        self.asked_at.append(time.monotonic())
        found = list(self.keys)
        await asyncio.sleep(self.takes_s)
        if self.fails:
            raise KeysUnavailable("down")
        return found

    def ring(self, *given: PlatformKey, unknown_kept_s: float = 60) -> Keyring:
        return Keyring(
            download=self.download, given=given, download_interval_s=INTERVAL_S, unknown_kept_s=unknown_kept_s
        )


def certificate(serial: str, *, begins_in_s: float = -60, ends_in_s: float = 3_600) -> PlatformKey:
    now = utc_now()
    return PlatformKey(serial, KEY, now + timedelta(seconds=begins_in_s), now + timedelta(seconds=ends_in_s))


class TestFinding:
    async def test_without_any_key_the_first_serial_number_brings_them(self) -> None:
        platform = Platform(certificate("A1"))
        ring = platform.ring()
        assert await ring.find("A1", now=utc_now()) is KEY
        assert await ring.find("A1", now=utc_now()) is KEY
        assert len(platform.asked_at) == 1

    async def test_certificates_and_public_keys_at_once(self) -> None:
        platform = Platform(certificate("A1"))
        public = PlatformKey("PUB_KEY_ID_01", generate_private_key(65537, 2048).public_key())
        ring = platform.ring(public)
        assert await ring.find("PUB_KEY_ID_01", now=utc_now()) is public.key
        assert platform.asked_at == []
        assert await ring.find("A1", now=utc_now()) is KEY
        assert ring.requested_serial == "PUB_KEY_ID_01"
        assert await ring.for_encryption(now=utc_now()) == public

    async def test_a_rotation_has_no_gap(self) -> None:
        """The new one is known before it signs, and the old one signs until it expires, listed or not."""
        platform = Platform(certificate("A1", ends_in_s=1_000))
        ring = platform.ring()
        await ring.refresh()
        platform.keys = [certificate("B2")]
        assert await ring.find("B2", now=utc_now()) is KEY
        assert await ring.find("A1", now=utc_now()) is KEY
        assert await ring.find("A1", now=utc_now() + timedelta(seconds=1_001)) is None
        assert (await ring.for_encryption(now=utc_now())).serial == "B2"

    async def test_dates_are_respected(self) -> None:
        platform = Platform(certificate("A1", begins_in_s=60), certificate("B2", begins_in_s=-60, ends_in_s=-1))
        ring = platform.ring()
        assert await ring.find("A1", now=utc_now()) is None
        assert await ring.find("A1", now=utc_now() + timedelta(seconds=61)) is KEY
        assert await ring.find("B2", now=utc_now()) is None

    @pytest.mark.parametrize("serial", ["PUB_KEY_ID_99", "", "A" * 65, "G1", "A1\n"])
    async def test_what_no_download_could_bring_causes_none(self, serial: str) -> None:
        platform = Platform(certificate("A1"))
        assert await platform.ring().find(serial, now=utc_now()) is None
        assert platform.asked_at == []


class TestStorm:
    async def test_everybody_who_asks_at_once_waits_for_one_download(self) -> None:
        platform = Platform(certificate("A1"))
        ring = platform.ring()
        found = await asyncio.gather(*(ring.find("A1", now=utc_now()) for _ in range(100)))
        assert found == [KEY] * 100
        assert len(platform.asked_at) == 1

    async def test_a_forger_causes_one_download_an_interval(self) -> None:
        platform = Platform(certificate("A1"))
        ring = platform.ring()
        began, number = time.monotonic(), 0
        while time.monotonic() - began < 5 * INTERVAL_S:
            numbers = [f"{number + each:X}" for each in range(0x1000, 0x1040)]
            number += 64
            assert set(await asyncio.gather(*(ring.find(each, now=utc_now()) for each in numbers))) == {None}
        pauses = [after - before for before, after in zip(platform.asked_at, platform.asked_at[1:], strict=False)]
        assert pauses
        assert min(pauses) >= INTERVAL_S * 0.95

    async def test_a_new_certificate_is_found_in_the_middle_of_it(self) -> None:
        """Who asks while a download runs that had begun before is not answered by it."""
        platform = Platform()
        platform.takes_s = INTERVAL_S
        ring = platform.ring()
        forged = asyncio.create_task(ring.find("F0", now=utc_now()))
        await eventually(lambda: platform.asked_at)
        platform.keys = [certificate("A1")]
        assert await ring.find("A1", now=utc_now()) is KEY
        assert await forged is None
        assert len(platform.asked_at) == 2

    async def test_an_unknown_number_is_remembered_and_not_for_ever(self) -> None:
        platform = Platform()
        ring = platform.ring(unknown_kept_s=0.05)
        assert await ring.find("F0", now=utc_now()) is None
        assert await ring.find("F0", now=utc_now()) is None
        assert len(platform.asked_at) == 1
        platform.keys = [certificate("F0")]
        await asyncio.sleep(0.06)
        assert await ring.find("F0", now=utc_now()) is KEY

    async def test_what_is_remembered_is_bounded(self) -> None:
        platform = Platform()
        ring = platform.ring()
        for start in range(0, UNKNOWN_KEPT_MAX + WAITING_MAX, WAITING_MAX):
            numbers = [f"{start + each:X}" for each in range(WAITING_MAX)]
            await asyncio.gather(*(ring.find(each, now=utc_now()) for each in numbers))
        assert len(ring._unknown) == UNKNOWN_KEPT_MAX

    async def test_who_waits_is_bounded_and_told_that_nothing_is_decided(self) -> None:
        platform = Platform()
        ring = platform.ring()
        asked = [ring.find(f"{each:X}", now=utc_now()) for each in range(WAITING_MAX + 5)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(each, KeysUnavailable) for each in found) == 5
        assert found.count(None) == WAITING_MAX


class TestFailing:
    async def test_a_failed_download_decides_nothing_and_is_not_remembered(self) -> None:
        platform = Platform(certificate("A1"))
        platform.fails = True
        ring = platform.ring()
        found = await asyncio.gather(*(ring.find("A1", now=utc_now()) for _ in range(5)), return_exceptions=True)
        assert {type(each) for each in found} == {KeysUnavailable}
        assert len(platform.asked_at) == 1
        platform.fails = False
        assert await ring.find("A1", now=utc_now()) is KEY

    async def test_what_is_known_stays_known(self) -> None:
        platform = Platform(certificate("A1"))
        ring = platform.ring()
        await ring.refresh()
        platform.fails = True
        with pytest.raises(KeysUnavailable):
            await ring.refresh()
        assert await ring.find("A1", now=utc_now()) is KEY

    async def test_who_gives_up_takes_the_download_from_nobody(self) -> None:
        platform = Platform(certificate("A1"))
        platform.takes_s = INTERVAL_S
        ring = platform.ring()
        impatient = asyncio.create_task(ring.find("A1", now=utc_now()))
        patient = asyncio.create_task(ring.find("A1", now=utc_now()))
        await asyncio.sleep(0.01)
        impatient.cancel()
        assert await patient is KEY

    async def test_it_refreshes_by_itself(self) -> None:
        platform = Platform(certificate("A1"))
        ring = platform.ring()
        refreshing = asyncio.create_task(ring.keep_fresh(interval_s=0.01))
        try:
            await eventually(lambda: len(platform.asked_at) >= 2)
        finally:
            refreshing.cancel()
        assert ring.known("A1", now=utc_now()) is KEY


class TestReading:
    @pytest.fixture
    def hand(self, sandbox: Sandbox, tmp_path: object) -> Hand:
        return Hand(load_or_create(sandbox.keys), Store(tmp_path / "hand.db"))  # type: ignore[operator]

    def test_what_the_platform_seals(self, hand: Hand, sandbox: Sandbox) -> None:
        hand.publish()
        secret = (sandbox.keys / "wechat_pay_api_v3_key").read_bytes()
        keys = read_certificates(hand.certificates(), api_v3_key=secret)
        assert len(keys) == 2
        assert hand.in_use in {key.serial for key in keys}
        assert all(key.holds(utc_now()) for key in keys)
        with pytest.raises(NotDecryptable):
            read_certificates(hand.certificates(), api_v3_key=b"0" * 32)

    def test_the_list_may_shorten_a_certificate_and_not_prolong_it(self, hand: Hand, sandbox: Sandbox) -> None:
        secret = (sandbox.keys / "wechat_pay_api_v3_key").read_bytes()
        document = hand.certificates()
        (before,) = read_certificates(document, api_v3_key=secret)
        document["data"][0]["expire_time"] = "2099-01-01T00:00:00+08:00"
        assert read_certificates(document, api_v3_key=secret) == [before]
        document["data"][0]["expire_time"] = "2020-01-01T00:00:00+08:00"
        assert not read_certificates(document, api_v3_key=secret)[0].holds(utc_now())

    @pytest.mark.parametrize(
        "change", [{"serial_no": "AB12"}, {"serial_no": "not hex"}, {"serial_no": None}, {"encrypt_certificate": None}]
    )
    def test_what_contradicts_itself_is_malformed(
        self, hand: Hand, sandbox: Sandbox, change: dict[str, object]
    ) -> None:
        secret = (sandbox.keys / "wechat_pay_api_v3_key").read_bytes()
        document = hand.certificates()
        document["data"][0].update(change)
        with pytest.raises(Malformed):
            read_certificates(document, api_v3_key=secret)
        with pytest.raises(Malformed):
            read_certificates({"data": {}}, api_v3_key=secret)
