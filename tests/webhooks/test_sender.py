"""What goes over the wire, and that it goes only where it may."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.webhooks.ports import DeliveryError, Outcome
from domain.webhooks.urls import UrlPolicy, UrlReason, WebhookUrlInvalid
from gateways.webhooks import HttpWebhookSender, Resolver, sending
from kernel.settings import Environment, Settings
from tests.gateways.guarding import sample
from tests.webhooks.receiver import Receiver, answering, dripping, flooding, holding, receiving

HEADERS = {"webhook-id": "msg_1"}
NAME = "partner.example"


class Names:
    """A resolver whose answers are one after another, as those of an attacker's name server."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def settings_of(environment: Environment = Environment.DEVELOPMENT, **values: Any) -> Settings:
    return Settings(environment=environment, **values)


async def post(url: str, *, names: Names | None = None, body: bytes = b"{}", **values: Any) -> Outcome:
    async with sending(settings_of(**values), resolve=names) as sender:
        return await sender.send(url, headers=HEADERS, body=body)


async def test_the_name_stays_in_the_request_and_the_address_is_the_one_checked(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"])
    outcome = await post(f"http://{NAME}:{receiver.port}/hooks", names=names, body="到".encode())
    assert (outcome.succeeded, outcome.status, outcome.error) == (True, 204, None)
    (request,) = receiver.requests
    assert request.headers["host"] == f"{NAME}:{receiver.port}"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.body == "到".encode()
    assert names.asked == [(NAME, receiver.port)]


async def test_a_name_that_moves_after_the_check_is_followed_nowhere(receiver: Receiver) -> None:
    """Each attempt asks once, so what another question would answer does not matter."""
    names = Names(["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"])
    assert (await post(f"http://{NAME}:{receiver.port}/", names=names)).succeeded
    assert len(names.asked) == 1
    assert (await post(f"http://{NAME}:{receiver.port}/", names=names)).error is DeliveryError.ADDRESS_REFUSED
    assert len(names.asked) == 2
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["169.254.169.254"],
        ["fe80::1%lo"],
        ["100.64.0.1"],
    ],
)
async def test_production_calls_nobody_inside(receiver: Receiver, addresses: list[str]) -> None:
    production: dict[str, Any] = {"environment": Environment.PRODUCTION, "webhook_ports": (443, receiver.port)}
    url = f"https://{NAME}:{receiver.port}/hooks"
    outcome = await post(url, names=Names(addresses), **production)
    assert (outcome.status, outcome.error) == (None, DeliveryError.ADDRESS_REFUSED)
    async with sending(settings_of(**production), resolve=Names(addresses)) as sender:
        with pytest.raises(WebhookUrlInvalid) as refused:
            await sender.check(url)
    assert refused.value.values["reason"] is UrlReason.ADDRESS
    assert addresses[0] not in str(refused.value)
    assert receiver.requests == []


async def test_the_systems_own_names_of_loopback_are_refused(receiver: Receiver) -> None:
    production: dict[str, Any] = {"environment": Environment.PRODUCTION, "webhook_ports": (receiver.port,)}
    outcome = await post(f"https://localhost:{receiver.port}/", **production)
    assert outcome.error is DeliveryError.ADDRESS_REFUSED
    assert receiver.requests == []
    assert set(await Resolver()("localhost", 443)) <= {"127.0.0.1", "::1"}


async def test_a_name_that_leads_nowhere() -> None:
    async def nowhere(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    async with sending(settings_of(), resolve=nowhere) as sender:
        assert (await sender.send(f"https://{NAME}/", headers={}, body=b"")).error is DeliveryError.UNRESOLVABLE
        with pytest.raises(WebhookUrlInvalid) as refused:
            await sender.check(f"https://{NAME}/")
    assert refused.value.values["reason"] is UrlReason.UNRESOLVABLE


async def test_another_address_is_tried_where_nobody_listens_at_the_first(receiver: Receiver) -> None:
    outcome = await post(f"http://{NAME}:{receiver.port}/", names=Names(["127.0.0.2", "127.0.0.1"]))
    assert outcome.succeeded
    assert len(receiver.requests) == 1


async def test_nobody_listens(free_port: int) -> None:
    outcome = await post(f"http://127.0.0.1:{free_port}/")
    assert (outcome.status, outcome.error) == (None, DeliveryError.UNREACHABLE)


@pytest.mark.parametrize("behaviour", [dripping, holding(asyncio.Event(), answering(200))], ids=["drips", "silent"])
async def test_all_of_an_attempt_has_one_budget(receiver: Receiver, behaviour: object) -> None:
    receiver.otherwise = behaviour  # type: ignore[assignment]
    began_s = time.monotonic()
    outcome = await post(receiver.url, webhook_timeout_s=0.4)
    assert outcome.error is DeliveryError.TIMEOUT
    assert 0.4 <= time.monotonic() - began_s < 3
    assert outcome.latency_ms >= 400


async def test_a_flood_is_left_after_a_few_kilobytes(receiver: Receiver) -> None:
    receiver.otherwise = flooding
    outcome = await post(receiver.url, webhook_timeout_s=5.0)
    assert outcome.succeeded
    assert outcome.latency_ms < 3_000


@pytest.mark.parametrize(
    ("status", "headers", "retry_after_s"),
    [
        (301, {"location": "http://127.0.0.1/"}, None),
        (307, {"location": "http://127.0.0.1/"}, None),
        (304, {}, None),
        (400, {}, None),
        (410, {}, None),
        (429, {"retry_after": "120"}, 120.0),
        (503, {"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        (503, {"retry_after": "soon"}, None),
        (503, {"retry_after": "9" * 100}, None),
        (503, {"retry_after": "-1"}, None),
    ],
)
async def test_whatever_is_no_2xx_is_no_success(
    receiver: Receiver, status: int, headers: dict[str, Any], retry_after_s: float | None
) -> None:
    receiver.otherwise = answering(status, **headers)
    outcome = await post(receiver.url)
    assert (outcome.status, outcome.error) == (status, DeliveryError.ANSWERED)
    assert outcome.retry_after_s == retry_after_s
    assert len(receiver.requests) == 1


async def test_what_is_no_http_is_an_error_of_the_protocol(receiver: Receiver) -> None:
    async def nonsense(_request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await writer.drain()

    receiver.otherwise = nonsense
    assert (await post(receiver.url)).error is DeliveryError.PROTOCOL


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server of that name, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    pem = built.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=pem.decode())


@pytest.mark.parametrize(("certified", "error"), [(NAME, None), ("other.example", DeliveryError.TLS)])
async def test_the_certificate_is_that_of_the_name(tmp_path: Path, certified: str, error: DeliveryError | None) -> None:
    server, trusting = certificate(tmp_path, certified)
    async with receiving(tls=server) as partner, httpx.AsyncClient(verify=trusting, trust_env=False) as client:
        sender = HttpWebhookSender(
            lambda: client,
            policy=UrlPolicy(ports=frozenset({partner.port}), allows_loopback=True),
            resolve=Names(["127.0.0.1"]),
            timeout_s=5.0,
            answer_size_max=1_024,
        )
        outcome = await sender.send(f"https://{NAME}:{partner.port}/x", headers=HEADERS, body=b"{}")
        assert outcome.error is error
        assert partner.server_names == [NAME]
        assert len(partner.requests) == (1 if error is None else 0)


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    server, _trusting = certificate(tmp_path, NAME)
    async with receiving(tls=server) as partner:
        outcome = await post(f"https://{NAME}:{partner.port}/", names=Names(["127.0.0.1"]))
        assert outcome.error is DeliveryError.TLS
        assert partner.requests == []


async def test_deliveries_are_counted_by_how_they_ended(receiver: Receiver, free_port: int) -> None:
    outcomes = ("answered", "server_error", "transport_error", "address_refused")
    labels = [{"party": "webhooks", "outcome": each} for each in outcomes]
    before = [sample("youka_third_party_calls_total", **each) for each in labels]
    address = f"http://127.0.0.1:{receiver.port}/hooks"
    await post(address)
    receiver.otherwise = answering(503)
    await post(address)
    await post(f"http://127.0.0.1:{free_port}/hooks")
    await post("http://10.0.0.1/hooks", environment=Environment.PRODUCTION)
    after = [sample("youka_third_party_calls_total", **each) for each in labels]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1, 1]
