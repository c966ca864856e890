"""Only the public internet can be called: every way to write another address is refused."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.webhooks import urls
from domain.webhooks.urls import UrlPolicy, UrlReason, WebhookUrlInvalid
from kernel.settings import Environment, Settings

PRODUCTION = UrlPolicy.of(Settings(environment=Environment.PRODUCTION))
DEVELOPMENT = UrlPolicy.of(Settings())

REFUSED = {
    "http://partner.example/": "SCHEME",
    "ftp://partner.example/": "SCHEME",
    "file:///etc/passwd": "SCHEME",
    "gopher://127.0.0.1:6379/_": "SCHEME",
    "//partner.example/": "MALFORMED",
    "partner.example": "MALFORMED",
    "": "MALFORMED",
    "https:///hooks": "MALFORMED",
    "https://": "MALFORMED",
    "https://partner.example:8443/": "PORT",
    "https://partner.example:80/": "PORT",
    "https://partner.example:0/": "PORT",
    "https://partner.example:65536/": "PORT",
    "https://partner.example:/": "MALFORMED",
    "https://partner.example:000443/": "MALFORMED",
    "https://partner.example:４４３/": "MALFORMED",
    "https://user@partner.example/": "CREDENTIALS",
    "https://user:password@partner.example/": "CREDENTIALS",
    "https://partner.example@127.0.0.1/": "CREDENTIALS",
    "https://127.0.0.1@partner.example/": "CREDENTIALS",
    "https://partner.example:443@127.0.0.1/": "CREDENTIALS",
    "https://partner.example\\@127.0.0.1/": "CREDENTIALS",
    "https://127.0.0.1\\.partner.example/": "MALFORMED",
    "https://partner.example/#fragment": "FRAGMENT",
    "https://127.0.0.1#@partner.example/": "FRAGMENT",
    "https://partner.example/ x": "MALFORMED",
    "https://partner.example/\r\nhost: internal": "MALFORMED",
    "https://partner.example\t/": "MALFORMED",
    " https://partner.example/": "SCHEME",
    "https://pärtner.example/": "MALFORMED",
    "https://１２７.０.０.１/": "MALFORMED",
    "https://ⓛocalhost/": "MALFORMED",
    "https://%6c%6f%63alhost/": "MALFORMED",
    "https://partner..example/": "HOST",
    "https://.example/": "HOST",
    "https://localhost./": "HOST",
    "https://partner.example./": "HOST",
    "https://-partner.example/": "HOST",
    "https://127.0.0.1/": "ADDRESS",
    "https://127.0.0.1./": "HOST",
    "https://127.1/": "HOST",
    "https://127.0.1/": "HOST",
    "https://2130706433/": "HOST",
    "https://017700000001/": "HOST",
    "https://0177.0.0.1/": "HOST",
    "https://0x7f000001/": "HOST",
    "https://0x7f.0.0.1/": "HOST",
    "https://0x7f.1/": "HOST",
    "https://127.0.0.0x1/": "HOST",
    "https://1.1.1.257/": "HOST",
    "https://0.0.0.0/": "ADDRESS",
    "https://0/": "HOST",
    "https://10.1.2.3/": "ADDRESS",
    "https://100.64.0.1/": "ADDRESS",
    "https://100.127.255.255/": "ADDRESS",
    "https://169.254.169.254/latest/meta-data/": "ADDRESS",
    "https://100.100.100.200/latest/meta-data/": "ADDRESS",
    "https://172.16.0.1/": "ADDRESS",
    "https://172.31.255.255/": "ADDRESS",
    "https://192.0.0.170/": "ADDRESS",
    "https://192.0.2.1/": "ADDRESS",
    "https://192.168.1.1/": "ADDRESS",
    "https://198.18.0.1/": "ADDRESS",
    "https://198.51.100.7/": "ADDRESS",
    "https://203.0.113.7/": "ADDRESS",
    "https://224.0.0.1/": "ADDRESS",
    "https://240.0.0.1/": "ADDRESS",
    "https://255.255.255.255/": "ADDRESS",
    "https://[::]/": "ADDRESS",
    "https://[::1]/": "ADDRESS",
    "https://[0:0:0:0:0:0:0:1]/": "ADDRESS",
    "https://[::ffff:127.0.0.1]/": "ADDRESS",
    "https://[::ffff:7f00:1]/": "ADDRESS",
    "https://[::ffff:8.8.8.8]/": "ADDRESS",
    "https://[::127.0.0.1]/": "ADDRESS",
    "https://[64:ff9b::127.0.0.1]/": "ADDRESS",
    "https://[64:ff9b::7f00:1]/": "ADDRESS",
    "https://[64:ff9b:1::1]/": "ADDRESS",
    "https://[2002:7f00:1::]/": "ADDRESS",
    "https://[2001::1]/": "ADDRESS",
    "https://[2001:db8::1]/": "ADDRESS",
    "https://[100::1]/": "ADDRESS",
    "https://[5f00::1]/": "ADDRESS",
    "https://[3fff::1]/": "ADDRESS",
    "https://[fc00::1]/": "ADDRESS",
    "https://[fd00:ec2::254]/": "ADDRESS",
    "https://[fe80::1]/": "ADDRESS",
    "https://[fe80::1%25lo]/": "MALFORMED",
    "https://[fec0::1]/": "ADDRESS",
    "https://[ff02::1]/": "ADDRESS",
    "https://[::1/": "MALFORMED",
    "https://::1/": "MALFORMED",
    "https://[127.0.0.1]/": "HOST",
    "https://[partner.example]/": "MALFORMED",
    "https://[1::2::3]/": "HOST",
    "https://[::1]partner.example/": "MALFORMED",
    "https://[::1].partner.example/": "MALFORMED",
    "https://" + "a" * 64 + ".example/": "HOST",
    "https://" + "a." * 130 + "example/": "HOST",
    "https://partner.example/" + "a" * 2_048: "TOO_LONG",
}


@pytest.mark.parametrize(
    ("url", "reason"), REFUSED.items(), ids=lambda value: str(value)[:48].encode("ascii", "replace").decode()
)
def test_production_refuses(url: str, reason: str) -> None:
    with pytest.raises(WebhookUrlInvalid) as refused:
        urls.read(url, PRODUCTION)
    assert refused.value.values["reason"] is UrlReason[reason]
    assert refused.value.code == "WEBHOOK_URL_INVALID"


@pytest.mark.parametrize(
    ("url", "host", "authority", "path"),
    [
        ("https://partner.example", "partner.example", "partner.example", "/"),
        ("https://Partner.Example:443/Hooks?a=1&b=%20", "partner.example", "partner.example", "/Hooks?a=1&b=%20"),
        ("https://xn--prtner-bua.example/x", "xn--prtner-bua.example", "xn--prtner-bua.example", "/x"),
        ("https://8.8.8.8/x", "8.8.8.8", "8.8.8.8", "/x"),
        ("https://[2606:4700::1111]/x", "2606:4700::1111", "[2606:4700::1111]", "/x"),
    ],
)
def test_production_allows_what_is_public(url: str, host: str, authority: str, path: str) -> None:
    target = urls.read(url, PRODUCTION)
    assert (target.scheme, target.port) == ("https", 443)
    assert (target.host, target.authority, target.path) == (host, authority, path)


def test_a_deployment_may_allow_more_ports() -> None:
    policy = UrlPolicy.of(Settings(environment=Environment.PRODUCTION, webhook_ports=(443, 8443)))
    assert urls.read("https://partner.example:8443/", policy).authority == "partner.example:8443"
    with pytest.raises(WebhookUrlInvalid):
        urls.read("https://partner.example:8444/", policy)


def test_development_allows_loopback_and_nothing_else_inside() -> None:
    assert urls.read("http://127.0.0.1:9000/x", DEVELOPMENT).port == 9_000
    assert urls.read("http://[::1]:9000/x", DEVELOPMENT).authority == "[::1]:9000"
    for url in ("http://10.0.0.1/", "http://169.254.169.254/", "https://[fd00::1]/", "http://user@127.0.0.1/"):
        with pytest.raises(WebhookUrlInvalid):
            urls.read(url, DEVELOPMENT)
    target = urls.read("http://partner.example/", DEVELOPMENT)
    with pytest.raises(WebhookUrlInvalid):
        urls.check_reached(target, ipaddress.ip_address("8.8.8.8"), DEVELOPMENT)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_whatever_is_allowed_is_global(address: urls.IPAddress) -> None:
    try:
        urls.check_address(address, PRODUCTION)
    except WebhookUrlInvalid:
        return
    assert address.is_global
    assert not address.is_multicast
    assert getattr(address, "ipv4_mapped", None) is None


SHAPES = st.text(alphabet="htps:/@.[]0123456789abcdefx\\#?%- \tⓛ１localhst", max_size=40)


@given(SHAPES)
def test_no_text_is_read_as_an_address_inside(rest: str) -> None:
    try:
        target = urls.read("https://" + rest, PRODUCTION)
    except WebhookUrlInvalid:
        return
    assert target.address is None or target.address.is_global
    assert target.path.startswith("/")
    assert not set(target.host) & set("/@?#\\ \t%")
