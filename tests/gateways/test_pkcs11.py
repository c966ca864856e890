"""Keys in a security module: one conformance suite with keys in memory, and what happens when the module fails."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from domain.cards.ports import IssuerUnavailable
from domain.payments.ports import ChannelUnavailable
from gateways.assembly import third_parties
from gateways.key_source import ThirdPartySettingsWrong
from gateways.signing import MemorySigner, ModuleFailed, Signer, SigningFailed, is_signed_by, signature_text
from tests.gateways.stand_ins import create_prepay, create_recharge, now, read_private_key
from tests.sandbox_fixtures import Sandbox
from tests.softhsm import PIN, SoftHsm

pkcs11_signer: Any = pytest.importorskip(
    "gateways.pkcs11_signer", reason="NOT TESTED: keys in a security module need python-pkcs11"
)
pkcs11_library: Any = pytest.importorskip("gateways.pkcs11_library")

LABEL = "merchant"
NAMES = ("wechat_pay", "alipay", "issuer")


@pytest.fixture(scope="module")
def filled(sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """A token that holds the three private keys which the sandbox knows us by, and some that cannot be used."""
    folder = tmp_path_factory.mktemp("hsm")
    made = SoftHsm(folder)
    for name in NAMES:
        made.put(sandbox_process.keys / f"{name}_private_key.pem", name)
    for name, key in (
        ("short", generate_private_key(65537, 1024)),  # noqa: S505 - it is what must be refused
        ("curve", ec.generate_private_key(ec.SECP256R1())),
    ):
        path = folder / f"{name}.pem"
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        made.put(path, name)
    for _ in range(2):
        made.put(sandbox_process.keys / "issuer_private_key.pem", "twice")
    return made


@pytest.fixture
def hsm(filled: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    made = SoftHsm(tmp_path, like=filled)
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    return made


def create_module(hsm: SoftHsm, *, pin: str = PIN, sessions_max: int = 4, timeout_s: float = 10.0) -> Any:
    token = pkcs11_signer.Token(hsm.path, hsm.settings["pkcs11_token_label"], pin)
    return pkcs11_signer.SecurityModule(token, sessions_max=sessions_max, timeout_s=timeout_s)


@pytest.fixture
async def module(hsm: SoftHsm) -> AsyncIterator[Any]:
    made = create_module(hsm)
    yield made
    await made.close()


@dataclass(frozen=True)
class Subject:
    signer: Signer
    key: RSAPublicKey


@pytest.fixture(params=["memory", "module"])
def subject(request: pytest.FixtureRequest, sandbox: Sandbox) -> Subject:
    key = read_private_key(sandbox.keys / "wechat_pay_private_key.pem")
    signer = MemorySigner(key) if request.param == "memory" else request.getfixturevalue("module").signer("wechat_pay")
    return Subject(signer, key.public_key())


class TestConformance:
    @pytest.mark.parametrize("message", [b"", b"a\nb\n", "充值".encode(), bytes(300_000)], ids=len)
    async def test_the_key_s_owner_has_signed(self, subject: Subject, message: bytes) -> None:
        signature = await signature_text(subject.signer, message)
        assert is_signed_by(subject.key, message, signature)
        assert not is_signed_by(subject.key, message + b"x", signature)
        assert signature == await signature_text(subject.signer, message)

    async def test_many_at_once(self, subject: Subject) -> None:
        messages = [str(number).encode() for number in range(100)]
        signatures = await asyncio.gather(*(signature_text(subject.signer, each) for each in messages))
        assert all(map(is_signed_by, [subject.key] * 100, messages, signatures))

    async def test_it_does_not_show_its_key(self, subject: Subject) -> None:
        token = pkcs11_signer.Token("/lib.so", "youka", PIN)
        assert PIN not in f"{subject.signer!r} {token!r}"


async def test_sessions_are_bounded_and_used_again(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = pkcs11_library.Library.open_session

    def open_session(self: Any, label: str, pin: str) -> Any:
        opened.append(label)
        return real(self, label, pin)

    monkeypatch.setattr(pkcs11_library.Library, "open_session", open_session)
    module = create_module(hsm, sessions_max=3)
    for _ in range(2):
        await asyncio.gather(*(module.sign("issuer", b"message") for _ in range(30)))
    assert 1 <= len(opened) <= 3
    await module.close()


class TestFailures:
    async def test_a_device_that_forgets_its_sessions_is_not_noticed(self, hsm: SoftHsm, module: Any) -> None:
        before = await module.sign("issuer", b"message")
        hsm.reset()
        assert await module.sign("issuer", b"message") == before

    async def test_many_who_meet_a_reset_at_once(
        self, hsm: SoftHsm, module: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pkcs11_library, "RENEW_INTERVAL_S", 0.0)
        await asyncio.gather(*(module.sign("issuer", b"message") for _ in range(8)))
        hsm.reset()
        signed = await asyncio.gather(*(module.sign("issuer", b"message") for _ in range(40)), return_exceptions=True)
        assert all(isinstance(each, bytes | SigningFailed) for each in signed)
        assert isinstance(await module.sign("issuer", b"message"), bytes)

    async def test_a_token_that_is_gone_and_comes_back(
        self, hsm: SoftHsm, module: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pkcs11_library, "RENEW_INTERVAL_S", 0.0)
        before = await module.sign("issuer", b"message")
        hsm.take_out()
        for _ in range(2):
            with pytest.raises(ModuleFailed, match="names no token that is there"):
                await module.sign("issuer", b"message")
        hsm.put_back()
        assert await module.sign("issuer", b"message") == before

    async def test_a_refused_pin_is_sent_once(self, hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
        tried: list[str] = []
        real = pkcs11_library.Library.open_session

        def open_session(self: Any, label: str, pin: str) -> Any:
            tried.append(pin)
            return real(self, label, pin)

        monkeypatch.setattr(pkcs11_library.Library, "open_session", open_session)
        module = create_module(hsm, pin="wrong-pin-7")
        for problem in ("is refused by the token", "not tried again"):
            with pytest.raises(ModuleFailed, match=problem) as refused:
                await module.sign("issuer", b"message")
            assert refused.value.setting == "pkcs11_pin"
            assert "wrong-pin-7" not in str(refused.value)
        assert tried == ["wrong-pin-7"]
        await module.close()

    async def test_a_module_that_hangs_keeps_its_places_and_no_more(
        self, hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module, over, calls = create_module(hsm, sessions_max=2, timeout_s=0.3), threading.Event(), []
        real = pkcs11_signer._Session.sign

        def sign(self: Any, label: str, message: bytes) -> bytes:
            calls.append(message)
            assert over.wait(30)
            return bytes(real(self, label, message))

        monkeypatch.setattr(pkcs11_signer._Session, "sign", sign)
        failures = await asyncio.gather(*(module.sign("issuer", b"x") for _ in range(10)), return_exceptions=True)
        assert all(isinstance(each, ModuleFailed) and "is silent for" in str(each) for each in failures)
        assert len(calls) == 2
        over.set()
        monkeypatch.setattr(pkcs11_signer._Session, "sign", real)
        module._timeout_s = 10.0
        assert await module.sign("issuer", b"x")
        await module.close()


def by_module(hsm: SoftHsm, **changes: Any) -> dict[str, Any]:
    return {**hsm.settings, **{f"{name}_private_key_pkcs11": name for name in NAMES}, **changes}


class TestThirdParties:
    async def test_all_keys_in_the_module(self, hsm: SoftHsm, sandbox: Sandbox) -> None:
        """A signature with another key would be refused by the sandbox."""
        async with third_parties(sandbox.settings(**by_module(hsm))) as parties:
            prepaid = await parties.channels.main.prepay(create_prepay())
            await parties.channels.main.payment_parameters(prepay_id=prepaid, now=now())
            sandbox.pay(prepaid)
            assert parties.channels.alipay_payers is not None
            assert await parties.channels.alipay_payers.payer_of(sandbox.alipay_code())
            recharge = create_recharge()
            await parties.issuer.submit(recharge)
            assert sandbox.recharge(recharge.attempt_id) is not None

    async def test_what_cannot_be_signed_is_not_sent_and_recovers(
        self, hsm: SoftHsm, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pkcs11_library, "RENEW_INTERVAL_S", 0.0)
        request, recharge = create_prepay(), create_recharge()
        async with third_parties(sandbox.settings(**by_module(hsm))) as parties:
            hsm.take_out()
            with pytest.raises(ChannelUnavailable, match="security module"):
                await parties.channels.main.prepay(request)
            with pytest.raises(IssuerUnavailable, match="security module"):
                await parties.issuer.submit(recharge)
            assert sandbox.payment(request.out_trade_no) is None
            assert sandbox.recharge(recharge.attempt_id) is None
            hsm.put_back()
            assert await parties.channels.main.prepay(request)
            await parties.issuer.submit(recharge)
            assert sandbox.recharge(recharge.attempt_id) is not None

    @pytest.mark.parametrize(
        ("changes", "variable", "problem"),
        [
            ({"pkcs11_module_path": None}, "YOUKA_PKCS11_MODULE_PATH", "is not set, but YOUKA_WECHAT_PAY_PRIVATE_KEY"),
            ({"pkcs11_pin": ""}, "YOUKA_PKCS11_PIN", "is not set, but YOUKA_WECHAT_PAY_PRIVATE_KEY_PKCS11 is"),
            ({"pkcs11_module_path": "/nowhere/lib.so"}, "YOUKA_PKCS11_MODULE_PATH", "names no usable library"),
            ({"pkcs11_module_path": __file__}, "YOUKA_PKCS11_MODULE_PATH", "names no usable library"),
            ({"pkcs11_token_label": "other"}, "YOUKA_PKCS11_TOKEN_LABEL", "names no token that is there"),
            ({"pkcs11_pin": "wrong-pin-7"}, "YOUKA_PKCS11_PIN", "is refused by the token"),
            ({"issuer_private_key_pkcs11": "absent"}, "YOUKA_ISSUER_PRIVATE_KEY_PKCS11", "names no private RSA key"),
            ({"issuer_private_key_pkcs11": "short"}, "YOUKA_ISSUER_PRIVATE_KEY_PKCS11", "less than 2048 bits"),
            ({"issuer_private_key_pkcs11": "curve"}, "YOUKA_ISSUER_PRIVATE_KEY_PKCS11", "names no private RSA key"),
            ({"issuer_private_key_pkcs11": "twice"}, "YOUKA_ISSUER_PRIVATE_KEY_PKCS11", "names several private keys"),
            ({"issuer_private_key_path": __file__}, "YOUKA_ISSUER_PRIVATE_KEY_PKCS11", "keep one"),
        ],
        ids=str,
    )
    async def test_the_start_says_what_is_wrong(
        self, hsm: SoftHsm, sandbox: Sandbox, changes: dict[str, Any], variable: str, problem: str
    ) -> None:
        with pytest.raises(ThirdPartySettingsWrong) as wrong:
            async with third_parties(sandbox.settings(**by_module(hsm, **changes))):
                pytest.fail("it started")
        (told,) = wrong.value.problems
        assert told.startswith(f"{variable} ")
        assert problem in told
        assert PIN not in told
        assert "wrong-pin-7" not in told

    async def test_a_file_needs_no_module(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "gateways.pkcs11_signer", None)
        async with third_parties(sandbox.settings()) as parties:
            assert await parties.channels.main.prepay(create_prepay())

    async def test_without_the_extra_the_start_names_it(
        self, hsm: SoftHsm, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "gateways.pkcs11_signer", None)
        with pytest.raises(ThirdPartySettingsWrong) as wrong:
            async with third_parties(sandbox.settings(**by_module(hsm))):
                pytest.fail("it started")
        assert wrong.value.problems == ["YOUKA_PKCS11_MODULE_PATH needs python-pkcs11, the extra `pkcs11`"]
