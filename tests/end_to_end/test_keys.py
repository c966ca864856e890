"""A house whose private keys are in a security module recharges, and nothing that is secret is written anywhere."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.conftest import _load
from tests.end_to_end.test_recharge import BIND, CREATE, PAY, wait_for
from tests.house_process import ROOT, RunningHouse, running
from tests.sandbox_fixtures import Sandbox
from tests.services import run
from tests.softhsm import PIN, SoftHsm

CARD, PHONE = "9012345678901234", "13800005678"
ENDED_WITHIN_S = 180
NAMES = ("wechat_pay", "alipay", "issuer", "bank")
# What is public among the sandbox's files.
PUBLIC = ("public_key", "platform_key", "serial", "public_key_id")
SPANS = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
out = open(os.environ["SPANS"], "a", buffering=1)
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
trace.set_tracer_provider(provider)
"""
SMS = 'mutation { requestSmsCode(input: { phone: "%s" }) { __typename ... on UserError { code message } } }'


@dataclass
class Written:
    """Where the house writes, what it answered, and what must be in none of it."""

    folder: Path
    secrets: dict[str, str]
    answers: list[str] = field(default_factory=list)

    def leaks(self) -> list[str]:
        """Name each secret and where it is."""
        places = {path.name: path.read_text(errors="replace") for path in self.folder.iterdir() if path.is_file()}
        places |= {f"answer {number}": text for number, text in enumerate(self.answers)}
        return [
            f"{name} in {place}"
            for place, text in places.items()
            for name, value in self.secrets.items()
            if value in text
        ]


@pytest.fixture
def data_dir(tmp_path: Path, sandbox: Sandbox) -> Path:
    """What the house knows of the sandbox, without a private key of anybody."""
    folder = tmp_path / "data"
    keys = folder / "sandbox" / "keys"
    keys.mkdir(parents=True)
    for path in sandbox.keys.iterdir():
        if not path.name.startswith("own_") and not path.name.endswith("private_key.pem"):
            shutil.copy(path, keys)
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, sandbox_process: Sandbox) -> SoftHsm:
    """A token that holds the private keys which the sandbox knows us by."""
    hsm = SoftHsm(tmp_path_factory.mktemp("hsm"))
    for name in NAMES:
        hsm.put(sandbox_process.keys / f"{name}_private_key.pem", name)
    return hsm


@pytest.fixture
def by_module(filled: SoftHsm, tmp_path: Path) -> dict[str, str]:
    """The environment of a house whose private keys are in a token and nowhere else."""
    hsm = SoftHsm(tmp_path, like=filled)
    environment = {f"YOUKA_{name.upper()}": str(value) for name, value in hsm.settings.items()} | hsm.environment
    return environment | {f"YOUKA_{name.upper()}_PRIVATE_KEY_PKCS11": name for name in NAMES}


@pytest.fixture
def written(tmp_path: Path, sandbox: Sandbox) -> Written:
    folder = tmp_path / "written"
    folder.mkdir()
    found = {"the PIN": PIN, "the card": CARD, "the phone": PHONE, "the data key": secrets.token_hex(16)}
    for path in sandbox.keys.iterdir():
        content = path.read_text().strip()
        if not any(path.stem.endswith(name) for name in PUBLIC):
            # A line of a key in PEM that is its own; the first ones begin alike.
            found[path.name] = content.splitlines()[5] if "PRIVATE KEY" in content else content
    assert len(found) > 12
    return Written(folder, found)


@pytest.fixture
def house(
    written: Written, tmp_path: Path, data_dir: Path, sandbox: Sandbox, sqlite_url: str, by_module: dict[str, str]
) -> Iterator[RunningHouse]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SPANS)
    environment = {
        **by_module,
        "DATABASE_URL": sqlite_url,
        "DATA_DIR": str(data_dir),
        "YOUKA_LOG_LEVEL": "DEBUG",
        "YOUKA_LOG_FORMAT": "json",
        "YOUKA_RECHARGE_QUERY_DELAY_S": "0.3",
        "YOUKA_PAYMENT_QUERY_DELAY_S": "0.3",
        "PYTHONPATH": str(tmp_path / "site"),
        "SPANS": str(written.folder / "spans"),
    }
    run(_load(sqlite_url))
    with running(written.folder, sandbox, worker=False, **environment) as house:
        yield house


class Customer:
    """Somebody whose every answer is kept; tokens are secrets as soon as they are known."""

    def __init__(self, house: RunningHouse, written: Written) -> None:
        self.house, self.written = house, written
        self.token = house.token()
        written.secrets["the token"] = self.token

    def ask(self, query: str, **variables: Any) -> Any:
        status, body = self.house.ask(query, variables, token=self.token)
        assert status == 200, body
        return body["data"]

    def pay_for_recharge(self, key: str) -> tuple[str, Any]:
        """Order a recharge and pay it as far as the channel lets us; return the order and what was answered."""
        card = self.ask(BIND.replace("9012345678901234", CARD))["bindCard"]["card"]["id"]
        order = self.ask(CREATE, card=card, key=key, amount="300.00")["createRecharge"]["order"]["id"]
        paid = self.ask(PAY, order=order, key=f"pay-{key}")["payRecharge"]
        return order, paid


def test_a_recharge_with_the_keys_in_a_module(house: RunningHouse, written: Written, sandbox: Sandbox) -> None:
    """The sandbox knows our public keys alone, and no private one is in a file that the house can find."""
    customer = Customer(house, written)
    order, paid = customer.pay_for_recharge("order-key-1")
    sandbox.pay(paid["payment"]["package"])
    wait_for(house, customer.token, order, state="SUCCEEDED")


def test_nothing_secret_is_written(house: RunningHouse, written: Written, sandbox: Sandbox) -> None:
    """At DEBUG, through a recharge, failures of third parties, forged callbacks and requests that are wrong."""
    customer = Customer(house, written)
    order, paid = customer.pay_for_recharge("order-key-1")
    sandbox.pay(paid["payment"]["package"])
    wait_for(house, customer.token, order, state="SUCCEEDED")
    customer.ask(SMS % PHONE)
    sandbox.faults(payment="error_500", issuer="error_500", wechat_open="error_500")
    written.answers.append(str(customer.pay_for_recharge("order-key-2")[1]))
    send_what_is_wrong(house, written, customer.token)
    assert house.server.stop() != 0
    log, spans = (written.folder / name for name in ("server.log", "spans"))
    assert "callback refused" in log.read_text()
    assert "wechat_pay.unavailable" in log.read_text()
    assert "wechat_pay POST" in spans.read_text()
    assert written.leaks() == []
    # The search itself finds what is there.
    (written.folder / "planted").write_text(f"x{CARD}x")
    assert written.leaks() == ["the card in planted"]


def send_what_is_wrong(house: RunningHouse, written: Written, token: str) -> None:
    said = {"card_number": CARD, "phone": PHONE, "token": token}
    headers = {"Authorization": f"Bearer {token}"}
    for name in ("wechat-pay", "wechat-pay-contract", "alipay", "issuer", "issuer/ofpay"):
        signed = {"Wechatpay-Signature": token, "Wechatpay-Serial": CARD, "Wechatpay-Nonce": "n", "Issuer-Nonce": "n"}
        url = f"{house.url}/callbacks/{name}"
        for content in ({"json": said}, {"data": said}, {"content": b"{"}):
            answer = httpx.post(url, headers={**headers, **signed}, trust_env=False, timeout=30, **content)
            assert answer.status_code >= 400 or name in ("issuer/ofpay",), (name, answer.text)
            written.answers.append(answer.text)
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_secret": PIN}
    written.answers.append(httpx.post(f"{house.url}/oauth/token", data=form, trust_env=False).text)
    for body in ({"query": "query ($n: ID!) { order(id: $n) { id } }", "variables": {"m": token}}, {"query": [token]}):
        answer = httpx.post(f"{house.url}/graphql", json=body, headers=headers, trust_env=False)
        written.answers.append(answer.text)
    forged = {"Authorization": f"Bearer {token}x"}
    written.answers.append(httpx.post(f"{house.url}/graphql", json={"query": "{ viewer { id } }"}, headers=forged).text)


WRONG = (
    ("app", {"YOUKA_PKCS11_PIN": "another-pin-5521", "YOUKA_WECHAT_PAY_API_V3_KEY": "too-short-a-key-5521"}),
    ("app", {"YOUKA_DATA_KEY": "no-base64-5521"}),
    ("jobs check-config", {"YOUKA_DATA_KEY": "no-base64-5521", "YOUKA_PKCS11_PIN": "another-pin-5521"}),
)


@pytest.mark.parametrize(("module", "changes"), WRONG, ids=str)
def test_a_wrong_setting_is_named_and_not_shown(
    written: Written,
    sandbox: Sandbox,
    data_dir: Path,
    sqlite_url: str,
    by_module: dict[str, str],
    module: str,
    changes: dict[str, str],
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("YOUKA_")}
    given = {**by_module, "DATABASE_URL": sqlite_url, "DATA_DIR": str(data_dir), "SANDBOX_PORT": str(sandbox.port)}
    done = subprocess.run(
        [sys.executable, "-m", *module.split()],
        cwd=ROOT,
        env={**environment, **given, "YOUKA_LOG_LEVEL": "DEBUG", **changes},
        capture_output=True,
        text=True,
        timeout=ENDED_WITHIN_S,
        check=False,
    )
    assert done.returncode != 0
    assert all(name in done.stdout + done.stderr for name in changes)
    written.answers.append(done.stdout + done.stderr)
    written.secrets |= {name: value for name, value in changes.items() if "5521" in value}
    assert written.leaks() == []
