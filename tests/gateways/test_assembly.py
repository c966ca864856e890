"""How settings become third parties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from domain.orders.ports import ThirdParties
from gateways import assembly
from gateways.assembly import third_parties
from gateways.connections import open_client_of
from gateways.key_source import ThirdPartySettingsWrong
from kernel.settings import Environment, Settings
from kernel.states import PaymentMethod
from tests.gateways.stand_ins import Signer
from tests.sandbox_fixtures import Sandbox

SETTINGS = {
    "YOUKA_WECHAT_PAY_CERTIFICATE_SERIAL",
    "YOUKA_WECHAT_PAY_PRIVATE_KEY_PATH",
    "YOUKA_WECHAT_PAY_API_V3_KEY",
    "YOUKA_WECHAT_OPEN_APP_SECRET",
    "YOUKA_TENCENT_SECRET_ID",
    "YOUKA_TENCENT_SECRET_KEY",
    "YOUKA_ISSUER_PRIVATE_KEY_PATH",
    "YOUKA_ISSUER_PUBLIC_KEY_PATH",
    "YOUKA_ISSUER_SECRET",
}
# Of platforms that production may do without.
OPTIONAL_SETTINGS = {
    "YOUKA_TENCENT_LBS_KEY",
    "YOUKA_TENCENT_LBS_SECRET",
    "YOUKA_PRICE_PLATFORM_SECRET",
    "YOUKA_WECHAT_PAY_PLATFORM_SERIAL",
    "YOUKA_WECHAT_PAY_PUBLIC_KEY_ID",
    "YOUKA_ALIPAY_PRIVATE_KEY_PATH",
    "YOUKA_ALIPAY_PUBLIC_KEY_PATH",
    "YOUKA_BANK_PRIVATE_KEY_PATH",
    "YOUKA_BANK_PUBLIC_KEY_PATH",
}
OWN_SETTINGS = {
    "YOUKA_PUBLIC_URL",
    "YOUKA_WECHAT_PAY_SP_APPID",
    "YOUKA_WECHAT_PAY_SP_MCHID",
    "YOUKA_WECHAT_PAY_SUB_MCHID",
    "YOUKA_WECHAT_OPEN_APP_ID",
    "YOUKA_TENCENT_FACE_RULE_ID",
    "YOUKA_ISSUER_PARTNER_ID",
}


async def opened(settings: Settings) -> ThirdParties:
    async with third_parties(settings) as parties:
        return parties


def named(problems: list[str]) -> set[str]:
    return {problem.split(" ")[0] for problem in problems}


async def test_in_development_the_sandbox_stands_in(sandbox: Sandbox) -> None:
    parties = await opened(sandbox.settings())
    assert (parties.channels.main.name, parties.issuer.name) == ("wechat_pay", "card_issuer")
    assert (parties.channels.main.app_id, parties.channels.main.mchid, parties.channels.main.sub_mchid) == (
        "wx8f3a0c5e7d9b1240",
        "1900000109",
        "1900000209",
    )
    assert [each.sub_mchid for each in parties.channels.routes] == ["1900000209", "1900000210", "2088000100000001"]


async def test_in_production_every_missing_setting_is_named(sandbox: Sandbox) -> None:
    """The sandbox's keys are there and are not touched."""
    with pytest.raises(ThirdPartySettingsWrong) as wrong:
        await opened(sandbox.settings(environment=Environment.PRODUCTION))
    assert named(wrong.value.problems) == SETTINGS | OWN_SETTINGS | {"YOUKA_ISSUER_URL"}
    assert "YOUKA_WECHAT_PAY_API_V3_KEY is not set" in str(wrong.value)


async def test_without_a_sandbox_the_error_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(ThirdPartySettingsWrong, match="start the sandbox first") as wrong:
        await opened(Settings(data_dir=tmp_path))
    assert named(wrong.value.problems) == SETTINGS | OPTIONAL_SETTINGS


@pytest.fixture
def production(tmp_path: Path, platform: Signer) -> dict[str, Any]:
    """Everything that production must say, and nothing else."""
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(platform.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(platform.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return {
        "environment": Environment.PRODUCTION,
        "public_url": "https://youka.example",
        "wechat_pay_sp_appid": "wx0000000000000001",
        "wechat_pay_sp_mchid": "1900000001",
        "wechat_pay_sub_mchid": "1900000002",
        "wechat_open_app_id": "wx0000000000000001",
        "issuer_partner_id": "partner",
        "issuer_url": "https://issuer.example",
        "wechat_pay_certificate_serial": "1",
        "wechat_pay_private_key_path": private,
        "wechat_pay_platform_serial": "2",
        "wechat_pay_platform_key_path": public,
        "wechat_pay_api_v3_key": "k" * 32,
        "wechat_open_app_secret": "s",
        "tencent_face_rule_id": "7",
        "tencent_secret_id": "AKID1",
        "tencent_secret_key": "s",
        "issuer_private_key_path": private,
        "issuer_public_key_path": public,
        "issuer_secret": "k" * 32,
    }


async def test_production_with_everything_set(production: dict[str, Any], tmp_path: Path) -> None:
    private, public = production["wechat_pay_private_key_path"], production["wechat_pay_platform_key_path"]
    parties = await opened(Settings(**production))
    assert [(each.name, each.sub_mchid) for each in parties.channels.routes] == [("wechat_pay", "1900000002")]
    for name, value, problem in (
        ("wechat_pay_api_v3_key", "short-secret", "not 32 bytes long"),
        ("issuer_secret", "", "is not set"),
        ("public_url", "", "is not set"),
        ("tencent_secret_key", "", "is not set"),
        ("tencent_face_rule_id", "", "is not set"),
        ("issuer_public_key_path", tmp_path / "absent.pem", "cannot be read"),
        ("wechat_pay_platform_key_path", private, "neither a PEM public key nor a PEM certificate"),
        ("wechat_pay_private_key_path", public, "not an unencrypted PEM private key"),
    ):
        with pytest.raises(ThirdPartySettingsWrong, match=problem) as wrong:
            await opened(Settings(**{**production, name: value}))
        assert named(wrong.value.problems) == {f"YOUKA_{name.upper()}"}
        assert "short-secret" not in str(wrong.value)


class TestBackupRoute:
    """Production has one where its own sub-merchant is named; nothing of the sandbox's stands in."""

    async def test_its_own_merchant_and_the_standby_domain(
        self, production: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        addresses: list[str] = []

        def open_client(url: str, settings: Settings, **guarded: Any) -> httpx.AsyncClient:
            addresses.append(url)
            return open_client_of(url, settings, **guarded)

        monkeypatch.setattr(assembly, "open_client_of", open_client)
        parties = await opened(Settings(**{**production, "wechat_pay_backup_sub_mchid": "1900000003"}))
        assert [each.sub_mchid for each in parties.channels.routes] == ["1900000002", "1900000003"]
        assert addresses[:2] == ["https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"]
        own = {"wechat_pay_backup_sub_mchid": "1900000003", "wechat_pay_backup_url": "https://pay.example"}
        addresses.clear()
        await opened(Settings(**{**production, **own}))
        assert addresses[:2] == ["https://api.mch.weixin.qq.com", "https://pay.example"]

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"wechat_pay_backup_sub_mchid": "1900000002"}, "is the main route's"),
            ({"wechat_pay_backup_url": "https://pay.example"}, "is not set, but YOUKA_WECHAT_PAY_BACKUP_URL is"),
            ({"wechat_pay_backup_sub_mchid": "", "wechat_pay_backup_url": "https://pay.example"}, "is not set, but"),
        ],
    )
    async def test_half_a_backup_is_refused(
        self, production: dict[str, Any], changes: dict[str, str], problem: str
    ) -> None:
        with pytest.raises(ThirdPartySettingsWrong, match=problem) as wrong:
            await opened(Settings(**{**production, **changes}))
        assert named(wrong.value.problems) == {"YOUKA_WECHAT_PAY_BACKUP_SUB_MCHID"}

    async def test_development_can_do_without(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("YOUKA_WECHAT_PAY_BACKUP_SUB_MCHID", "")
        channels = (await opened(sandbox.settings())).channels
        assert len(channels.by([PaymentMethod.WECHAT_PAY])) == 1


async def test_the_machines_proxies_are_not_asked(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with open_client_of(sandbox.url, sandbox.settings()) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}


class TestPlatforms:
    async def test_development_finds_all_of_them(self, sandbox: Sandbox) -> None:
        platforms = (await opened(sandbox.settings())).platforms
        assert all((platforms.phones, platforms.messages, platforms.prices, platforms.places, platforms.sms))

    async def test_production_does_without_what_it_does_not_name(self, production: dict[str, Any]) -> None:
        platforms = (await opened(Settings(**production))).platforms
        assert platforms.phones is not None
        assert (platforms.messages, platforms.prices, platforms.places, platforms.sms) == (None, None, None, None)

    @pytest.mark.parametrize(
        ("half", "missing"),
        [
            ({"price_platform_url": "https://prices.example"}, {"YOUKA_PRICE_PLATFORM_SECRET"}),
            (
                {"bank_url": "https://bank.example"},
                {"YOUKA_BANK_CUSTOMER_ID", "YOUKA_BANK_PRIVATE_KEY_PATH", "YOUKA_BANK_PUBLIC_KEY_PATH"},
            ),
            ({"tencent_lbs_key": "key"}, {"YOUKA_TENCENT_LBS_SECRET"}),
            (
                {"tencent_sms_sdk_app_id": "1400000000"},
                {"YOUKA_TENCENT_SMS_SIGN_NAME", "YOUKA_TENCENT_SMS_TEMPLATE_ID"},
            ),
        ],
    )
    async def test_half_a_platform_is_refused(
        self, production: dict[str, Any], half: dict[str, str], missing: set[str]
    ) -> None:
        with pytest.raises(ThirdPartySettingsWrong) as wrong:
            await opened(Settings(**{**production, **half}))
        assert named(wrong.value.problems) == missing
