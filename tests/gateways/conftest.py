"""The gateways on the running sandbox, and a place where its callbacks arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from domain.orders.ports import ThirdParties
from gateways.assembly import third_parties
from kernel.settings import Settings
from tests.gateways.stand_ins import SHORT_TIMEOUT_S, TIMEOUT_S, Listener, Signer, listening, read_private_key
from tests.sandbox_fixtures import Sandbox


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.fixture(scope="session")
def session_settings(sandbox_process: Sandbox) -> Settings:
    return sandbox_process.settings(third_party_timeout_s=TIMEOUT_S)


@pytest.fixture
def settings(session_settings: Settings, sandbox: Sandbox, listener: Listener) -> Settings:
    """Settings of a server that talks to the sandbox and hears its callbacks at the listener."""
    return session_settings.model_copy(update={"port": listener.port, "sandbox_port": sandbox.port})


@pytest.fixture
async def parties(settings: Settings) -> AsyncIterator[ThirdParties]:
    async with third_parties(settings) as parties:
        yield parties


@pytest.fixture
async def hasty_parties(settings: Settings) -> AsyncIterator[ThirdParties]:
    """The same with little patience."""
    async with third_parties(settings.model_copy(update={"third_party_timeout_s": SHORT_TIMEOUT_S})) as parties:
        yield parties


@pytest.fixture
def platform(sandbox: Sandbox) -> Signer:
    """WeChat Pay's own hand."""
    serial = (sandbox.keys / "wechat_pay_platform_serial").read_text()
    secret = (sandbox.keys / "wechat_pay_api_v3_key").read_bytes()
    return Signer(read_private_key(sandbox.keys / "own_platform_key.pem"), secret, serial)


@pytest.fixture
def issuing(sandbox: Sandbox) -> Signer:
    """The issuer's own hand."""
    secret = (sandbox.keys / "issuer_secret").read_bytes()
    return Signer(read_private_key(sandbox.keys / "own_issuer_key.pem"), secret, "")
