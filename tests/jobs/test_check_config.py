"""`python -m jobs check-config`: each finding by itself, and a deployment with which nothing is wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey

from jobs import __main__ as jobs
from jobs import live_checks
from jobs.check_config import check
from jobs.config_checks import Finding
from kernel.settings import Environment, Settings, get_settings
from models.database import connected
from tests.conftest import execute
from tests.gateways.guarding import unused_redis_url
from tests.sandbox_fixtures import Sandbox
from tests.softhsm import SoftHsm

SECRET = "hunter2-of-the-database"
TEXTS = ("certificate_serial", "platform_serial", "api_v3_key")


@pytest.fixture
def production(sandbox: Sandbox, tmp_path: Path, postgres_url: str, redis_url: str) -> dict[str, Any]:
    """Settings with which nothing is wrong but for what cannot be reached from a test."""

    def copy(name: str) -> Path:
        path = tmp_path / name
        path.write_bytes((sandbox.keys / name).read_bytes())
        return path

    def text(name: str) -> str:
        return (sandbox.keys / name).read_text("ascii").strip()

    token_key = tmp_path / "token.pem"
    token_key.write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
    return {
        "environment": Environment.PRODUCTION,
        "data_dir": tmp_path / "data",
        "database_url": postgres_url,
        "redis_url": redis_url,
        # Nobody listens there, which is no more than a note.
        "public_url": "https://recharge.invalid",
        "data_key": base64.b64encode(bytes(range(32))).decode(),
        "token_key_path": token_key,
        "metrics_token": "0123456789abcdef",
        "trusted_documents_only": True,
        "wechat_pay_sp_appid": "wx0000000000000001",
        "wechat_pay_sp_mchid": "1900000001",
        "wechat_pay_sub_mchid": "1900000002",
        **{f"wechat_pay_{name}": text(f"wechat_pay_{name}") for name in TEXTS},
        "wechat_pay_private_key_path": copy("wechat_pay_private_key.pem"),
        "wechat_pay_platform_key_path": copy("wechat_pay_platform_key.pem"),
        "wechat_open_app_id": "wx0000000000000001",
        "wechat_open_app_secret": "0" * 32,
        "tencent_face_rule_id": "1",
        "tencent_secret_id": "AKID0",
        "tencent_secret_key": "secret",
        "issuer_url": "https://issuer.example",
        "issuer_partner_id": "youka",
        "issuer_private_key_path": copy("issuer_private_key.pem"),
        "issuer_public_key_path": copy("issuer_public_key.pem"),
        "issuer_secret": text("issuer_secret"),
    }


async def musts(production: dict[str, Any], **changes: Any) -> list[Finding]:
    return [each for each in await check(Settings(**{**production, **changes})) if each.must]


async def notes(production: dict[str, Any], **changes: Any) -> set[str]:
    return {each.variable for each in await check(Settings(**{**production, **changes})) if not each.must}


async def test_nothing_is_wrong(production: dict[str, Any]) -> None:
    assert await musts(production) == []
    assert await notes(production) == {"YOUKA_PUBLIC_URL"}


WRONG: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"environment": "development"}, "YOUKA_ENVIRONMENT", "is development"),
    ({"data_key": ""}, "YOUKA_DATA_KEY", "is not set"),
    ({"data_key": "c2hvcnQ="}, "YOUKA_DATA_KEY", "is not 32 bytes in base64"),
    ({"data_key": base64.b64encode(bytes(32)).decode()}, "YOUKA_DATA_KEY", "is too regular to be random"),
    ({"token_key_path": None}, "YOUKA_TOKEN_KEY_PATH", "is not set"),
    ({"token_key_path": "/nowhere/token.pem"}, "YOUKA_TOKEN_KEY_PATH", "which is not there"),
    ({"token_key_path": __file__}, "YOUKA_TOKEN_KEY_PATH", "which is no such key"),
    ({"wechat_pay_private_key_path": "/nowhere/key.pem"}, "YOUKA_WECHAT_PAY_PRIVATE_KEY_PATH", "cannot be read"),
    ({"wechat_pay_api_v3_key": "short"}, "YOUKA_WECHAT_PAY_API_V3_KEY", "is "),
    ({"issuer_url": ""}, "YOUKA_ISSUER_URL", "is not set"),
    ({"issuer_url": "http://127.0.0.1:8001"}, "YOUKA_ISSUER_URL", "names this machine"),
    ({"tencent_lbs_url": "http://localhost:8001", **{f"tencent_lbs_{each}": "x" for each in ("key", "secret")}},
     "YOUKA_TENCENT_LBS_URL", "names this machine"),
    ({"issuer_url": "http://issuer.example"}, "YOUKA_ISSUER_URL", "is not https"),
    ({"wechat_pay_sp_mchid": "1900000109"}, "YOUKA_WECHAT_PAY_SP_MCHID", "is the sandbox's"),
    ({"public_url": "http://recharge.example"}, "YOUKA_PUBLIC_URL", "is not an https address"),
    ({"public_url": "https://127.0.0.1"}, "YOUKA_PUBLIC_URL", "names this machine"),
    ({"public_url": "https://recharge.invalid/api"}, "YOUKA_PUBLIC_URL", "has a path"),
    ({"callback_age_max_s": 3_600}, "YOUKA_CALLBACK_AGE_MAX_S", "is 3600"),
    ({"callback_age_max_s": 5}, "YOUKA_CALLBACK_AGE_MAX_S", "is 5"),
    ({"allowed_origins": ("*",)}, "YOUKA_ALLOWED_ORIGINS", "lets every page"),
    ({"metrics_token": "short"}, "YOUKA_METRICS_TOKEN", "is short enough to be guessed"),
)  # fmt: skip


@pytest.mark.parametrize(("changes", "variable", "problem"), WRONG, ids=lambda given: str(given)[:40])
async def test_what_must_be_put_right(
    production: dict[str, Any], changes: dict[str, Any], variable: str, problem: str
) -> None:
    (finding,) = await musts(production, **changes)
    assert finding.variable == variable
    assert problem in finding.problem
    assert finding.advice


async def test_keys_of_the_sandbox_are_no_keys(production: dict[str, Any], sandbox: Sandbox) -> None:
    given = {"data_dir": sandbox.data_dir, "issuer_private_key_path": sandbox.keys / "issuer_private_key.pem"}
    (finding,) = await musts(production, **given)
    assert (finding.variable, finding.problem) == ("YOUKA_ISSUER_PRIVATE_KEY_PATH", "names a key of the sandbox")


@pytest.mark.parametrize(
    ("changes", "variable"),
    [({"redis_url": ""}, "REDIS_URL"), ({"trusted_documents_only": False}, "YOUKA_TRUSTED_DOCUMENTS_ONLY"),
     ({"metrics_token": ""}, "YOUKA_METRICS_TOKEN")],
)  # fmt: skip
async def test_what_is_worth_a_thought(production: dict[str, Any], changes: dict[str, Any], variable: str) -> None:
    assert await musts(production, **changes) == []
    assert await notes(production, **changes) == {"YOUKA_PUBLIC_URL", variable}


class TestSecurityModule:
    """A key that is in one; what else can be wrong with it is told at the start as well."""

    @pytest.fixture
    def by_module(self, production: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        hsm = SoftHsm(tmp_path)
        hsm.put(production["wechat_pay_private_key_path"], "merchant")
        monkeypatch.setenv("SOFTHSM2_CONF", str(hsm.configuration))
        given = {**hsm.settings, "wechat_pay_private_key_pkcs11": "merchant"}
        return {**production, "wechat_pay_private_key_path": None, **given}

    async def test_nothing_is_wrong(self, by_module: dict[str, Any]) -> None:
        assert await musts(by_module) == []

    @pytest.mark.parametrize(
        ("changes", "variable", "problem"),
        [
            ({"pkcs11_pin": "wrong-pin-7"}, "YOUKA_PKCS11_PIN", "is refused by the token"),
            ({"pkcs11_token_label": "other"}, "YOUKA_PKCS11_TOKEN_LABEL", "names no token that is there"),
            ({"wechat_pay_private_key_pkcs11": "other"}, "YOUKA_WECHAT_PAY_PRIVATE_KEY_PKCS11", "names no private RSA"),
        ],
    )
    async def test_what_is_wrong_is_named(
        self, by_module: dict[str, Any], changes: dict[str, Any], variable: str, problem: str
    ) -> None:
        (finding,) = await musts(by_module, **changes)
        assert finding.variable == variable
        assert problem in finding.problem
        assert "wrong-pin-7" not in str(finding)


class TestSqlite:
    async def test_one_process_may_use_it(self, production: dict[str, Any], sqlite_url: str) -> None:
        given = {"database_url": sqlite_url, "redis_url": ""}
        assert await musts(production, **given) == []
        assert await notes(production, **given) == {"YOUKA_PUBLIC_URL", "DATABASE_URL"}

    async def test_two_may_not(self, production: dict[str, Any], sqlite_url: str) -> None:
        (finding,) = await musts(production, database_url=sqlite_url, worker_in_server=False)
        assert finding.variable == "DATABASE_URL"
        assert "a worker beside it" in finding.problem


class TestSurroundings:
    async def test_a_database_that_is_not_there(self, production: dict[str, Any], free_port: int) -> None:
        address = f"postgres://youka:{SECRET}@127.0.0.1:{free_port}/youka"
        (finding,) = await musts(production, database_url=address)
        assert (finding.variable, "does not answer" in finding.problem) == ("DATABASE_URL", True)
        assert SECRET not in str(finding)

    async def test_a_redis_that_is_not_there(self, production: dict[str, Any]) -> None:
        (finding,) = await musts(production, redis_url=unused_redis_url())
        assert (finding.variable, "does not answer" in finding.problem) == ("REDIS_URL", True)

    async def test_what_hangs_is_told_of_in_time(
        self, production: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await over.wait()
            writer.close()

        monkeypatch.setattr(live_checks, "TIMEOUT_S", 0.2)
        over = asyncio.Event()
        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        given = {"database_url": f"postgres://{address}/youka", "redis_url": f"redis://{address}/0"}
        assert {each.variable for each in await musts(production, **given)} == {"DATABASE_URL", "REDIS_URL"}
        over.set()
        server.close()

    async def test_an_old_schema(self, production: dict[str, Any]) -> None:
        async with connected(production["database_url"]):
            pass
        await asyncio.to_thread(execute, production["database_url"], "DELETE FROM tortoise_migrations WHERE id > 2")
        (finding,) = await musts(production)
        assert finding.variable == "DATABASE_URL"
        assert "migrations, from 0003_failures on" in finding.problem

    async def test_an_empty_database(self, production: dict[str, Any], tmp_path: Path) -> None:
        findings = await musts(production, database_url=f"sqlite://{tmp_path / 'empty.db'}", redis_url="")
        assert ["from 0001_initial on" in each.problem for each in findings] == [True]

    async def test_months_that_are_not_there(self, production: dict[str, Any]) -> None:
        (finding,) = await musts(production, ledger_partitions_ahead_months=24)
        assert finding.variable == "YOUKA_LEDGER_PARTITIONS_AHEAD_MONTHS"
        assert "ledger_entry_y" in finding.problem

    async def test_clocks_that_differ(self, production: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live_checks, "utc_now", lambda: datetime.now(UTC) + timedelta(minutes=1))
        findings = await musts(production)
        assert {each.variable for each in findings} == {"DATABASE_URL", "REDIS_URL"}
        assert all("-60 s off" in each.problem for each in findings)


class TestCertificate:
    async def test_one_that_has_ended(
        self, production: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = await self.of(timedelta(days=-1), production, tmp_path, monkeypatch)
        assert [(each.must, each.problem) for each in found] == [
            (True, "names a host whose certificate is not valid: certificate has expired")
        ]

    async def test_one_that_ends_soon(
        self, production: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = await self.of(timedelta(days=3, hours=1), production, tmp_path, monkeypatch)
        assert [(each.must, each.problem) for each in found] == [
            (False, "names a host whose certificate ends in 3 days")
        ]

    async def test_one_that_is_good(
        self, production: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert await self.of(timedelta(days=60), production, tmp_path, monkeypatch) == []

    async def of(
        self, left: timedelta, production: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> list[Finding]:
        """Serve TLS with such a certificate, which is believed here, and return what is found."""
        pem = certificate(datetime.now(UTC) + left, tmp_path)
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(pem)
        create: Callable[[], ssl.SSLContext] = ssl.create_default_context
        monkeypatch.setattr(ssl, "create_default_context", lambda: _trusting(create(), pem))
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "localhost", 0, ssl=serving)
        port = server.sockets[0].getsockname()[1]
        found = await live_checks.of_surroundings(
            Settings(**{**production, "public_url": f"https://localhost:{port}", "redis_url": ""})
        )
        server.close()
        return found


def _trusting(context: ssl.SSLContext, pem: Path) -> ssl.SSLContext:
    context.load_verify_locations(pem)
    return context


def certificate(expires_at: datetime, folder: Path) -> Path:
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(expires_at - timedelta(days=90))
        .not_valid_after(expires_at)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    path = folder / "tls.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


def command(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], *arguments: str) -> int:
    """Run the command in an environment that says these settings and nothing else."""
    for name in [each for each in os.environ if each.startswith("YOUKA_")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(f"YOUKA_{name.upper()}", str(value).lower() if isinstance(value, bool) else str(value))
    monkeypatch.setattr(sys, "argv", ["jobs", "check-config", *arguments])
    # What is logged by this process would go to the stream of this test for ever.
    monkeypatch.setattr(jobs, "configure_logging", lambda **_: None)
    get_settings.cache_clear()
    try:
        return jobs.main()
    finally:
        get_settings.cache_clear()


def test_the_command_tells_in_words_and_by_its_exit_code(
    production: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, production) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 to put right, 1 to think about"
    assert command(monkeypatch, {**production, "metrics_token": "short"}) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("wrong  YOUKA_METRICS_TOKEN is short enough to be guessed: ")
    assert out[-1] == "1 to put right, 1 to think about"


def test_for_machines(
    production: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, {**production, "issuer_url": ""}, "--json") == 1
    out = capsys.readouterr().out
    assert [(each["variable"], each["must"]) for each in json.loads(out)] == [
        ("YOUKA_ISSUER_URL", True),
        ("YOUKA_PUBLIC_URL", False),
    ]
    assert production["wechat_open_app_secret"] not in out
