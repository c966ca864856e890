"""The card issuers of this deployment: their keys and where they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx

from domain.cards.ports import CardIssuer, Issuers
from gateways import fulu, juhe, ofpay
from gateways import issuer as main
from gateways.aggregators import Aggregator, GivenAccount
from gateways.fulu import Fulu, FuluAccount
from gateways.issuer import Issuer, IssuerKeys
from gateways.juhe import Juhe, JuheAccount
from gateways.key_source import KeySource
from gateways.ofpay import Ofpay, OfpayAccount
from gateways.signing import load_public_key
from kernel.settings import Settings

OpenIssuer = Callable[[httpx.AsyncClient], CardIssuer]
OpenClient = Callable[[str, str], Awaitable[httpx.AsyncClient]]
MAIN_PARTY = "issuer"


def issuer_keys(source: KeySource) -> IssuerKeys | None:
    signer = source.signer("issuer_private_key")
    issuer_key = source.key("issuer_public_key_path", load_public_key)
    secret = source.aes_key("issuer_secret")
    if not (signer and issuer_key and secret):
        return None
    return IssuerKeys(signer=signer, issuer_key=issuer_key, secret=secret)


def issuer(settings: Settings, client: httpx.AsyncClient, keys: IssuerKeys) -> Issuer:
    return Issuer(
        client=client,
        keys=keys,
        partner_id=settings.issuer_partner_id,
        notify_url=f"{settings.base_url}/callbacks/issuer",
        prices=settings.issuer_cost_basis_points.get(main.NAME, {}),
        timeout_s=settings.third_party_timeout_s,
        age_max_s=settings.callback_age_max_s,
        bill_size_max_bytes=settings.issuer_bill_size_max_bytes,
    )


def find_issuers(source: KeySource, settings: Settings) -> list[tuple[str, str, OpenIssuer]]:
    """Return each issuer of the settings as a party, where it is and what opens it; the source notes what lacks."""
    found = [(name, FINDERS[name](source, settings)) for name in dict.fromkeys(settings.issuers)]
    if not found:
        source.problem("issuers", "names none", None)
    return [(MAIN_PARTY if name == main.NAME else name, *each) for name, each in found if each is not None]


async def open_issuers(found: list[tuple[str, str, OpenIssuer]], client: OpenClient) -> Issuers:
    return Issuers(tuple([open_issuer(await client(url, party)) for party, url, open_issuer in found]))


def _find_main(source: KeySource, settings: Settings) -> tuple[str, OpenIssuer] | None:
    source.require("issuer_partner_id")
    keys, url = issuer_keys(source), source.url("issuer_url", "")
    return (url, lambda client: issuer(settings, client, keys)) if keys else None


def _find_ofpay(source: KeySource, settings: Settings) -> tuple[str, OpenIssuer]:
    source.require("ofpay_user_id")
    account = OfpayAccount(settings.ofpay_user_id, source.text("ofpay_password"), source.text("ofpay_key"))
    return source.url("ofpay_url", ""), _opener(Ofpay, account, settings)


def _find_juhe(source: KeySource, settings: Settings) -> tuple[str, OpenIssuer]:
    account = JuheAccount(source.text("juhe_open_id"), source.text("juhe_key"))
    return source.url("juhe_url", ""), _opener(Juhe, account, settings)


def _find_fulu(source: KeySource, settings: Settings) -> tuple[str, OpenIssuer]:
    source.require("fulu_app_key")
    account = FuluAccount(settings.fulu_app_key, source.text("fulu_app_secret"))
    return source.url("fulu_url", ""), _opener(Fulu, account, settings)


def _opener(kind: type[Aggregator[GivenAccount]], account: GivenAccount, settings: Settings) -> OpenIssuer:
    return lambda client: kind(
        client=client,
        account=account,
        notify_url=notify_url(settings, kind.name),
        prices=settings.issuer_cost_basis_points.get(kind.name, {}),
        timeout_s=settings.third_party_timeout_s,
        bill_size_max_bytes=settings.issuer_bill_size_max_bytes,
    )


def notify_url(settings: Settings, name: str) -> str:
    return f"{settings.base_url}/callbacks/issuer/{name}"


FINDERS: dict[str, Callable[[KeySource, Settings], tuple[str, OpenIssuer] | None]] = {
    main.NAME: _find_main,
    ofpay.NAME: _find_ofpay,
    juhe.NAME: _find_juhe,
    fulu.NAME: _find_fulu,
}
