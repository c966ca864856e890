"""The sandbox's keys: private, made once, all or nothing."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateways.signing import load_public_key
from sandbox import keys as sandbox_keys
from sandbox.keys import load_or_create
from tests.sandbox_fixtures import Sandbox

FILES = {
    "wechat_pay_certificate_serial",
    "wechat_pay_private_key.pem",
    "wechat_pay_platform_serial",
    "wechat_pay_platform_key.pem",
    "wechat_pay_public_key_id",
    "wechat_pay_public_key.pem",
    "wechat_pay_api_v3_key",
    "wechat_open_app_secret",
    "tencent_secret_id",
    "tencent_secret_key",
    "tencent_lbs_key",
    "tencent_lbs_secret",
    "price_platform_secret",
    "issuer_private_key.pem",
    "issuer_public_key.pem",
    "issuer_secret",
    "ofpay_password",
    "ofpay_key",
    "juhe_open_id",
    "juhe_key",
    "fulu_app_secret",
    "own_platform_key.pem",
    "own_wechat_pay_public_key.pem",
    "own_issuer_key.pem",
    "alipay_private_key.pem",
    "alipay_public_key.pem",
    "own_alipay_key.pem",
    "bank_private_key.pem",
    "bank_public_key.pem",
    "own_bank_key.pem",
}


def test_nobody_else_may_read_them(sandbox: Sandbox) -> None:
    assert {path.name for path in sandbox.keys.iterdir()} == FILES
    assert stat.S_IMODE(sandbox.keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in sandbox.keys.iterdir()} == {0o600}


def test_the_house_gets_no_private_key_of_a_third_party(sandbox: Sandbox) -> None:
    shared = ("wechat_pay_platform_key.pem", "wechat_pay_public_key.pem", "issuer_public_key.pem")
    for name in (*shared, "alipay_public_key.pem"):
        assert (sandbox.keys / name).read_text().startswith("-----BEGIN PUBLIC KEY-----")


def test_they_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "sandbox" / "keys"
    first, second = load_or_create(folder), load_or_create(folder)
    assert first.api_v3_key == second.api_v3_key
    assert first.platform_key.private_numbers() == second.platform_key.private_numbers()


def test_of_several_that_start_at_once_one_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(load_or_create, [tmp_path / "keys"] * 4))
    assert len({keys.api_v3_key for keys in found}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_a_folder_of_an_earlier_version_gets_what_it_lacks(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    before = load_or_create(folder)
    for name in ("tencent_secret_id", "tencent_secret_key"):
        (folder / name).unlink()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(load_or_create, [folder] * 4))
    assert len({(keys.face_secret_id, keys.face_secret_key) for keys in found}) == 1
    assert found[0].api_v3_key == before.api_v3_key
    assert {path.name for path in folder.iterdir()} == FILES
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_serial_number_of_an_earlier_version_becomes_one_that_a_certificate_can_have(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    before = load_or_create(folder)
    (folder / "wechat_pay_platform_serial").write_text("F" * 40)
    after = load_or_create(folder)
    assert int(after.platform_serial, 16).bit_length() < 160
    assert after.platform_key.private_numbers() == before.platform_key.private_numbers()
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_public_key_is_that_of_the_private_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(load_or_create, [tmp_path / "keys"] * 4))
    public = load_public_key((tmp_path / "keys" / "wechat_pay_public_key.pem").read_bytes())
    assert {keys.public_key_private.public_key().public_numbers() for keys in found} == {public.public_numbers()}
    assert found[0].public_key_id.startswith("PUB_KEY_ID_")


def test_an_interrupted_start_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_keys, "_new_files", lambda: {"one": b"1", "folder/that/is/not/there": b"2"})
    with pytest.raises(OSError, match="No such file"):
        load_or_create(tmp_path / "keys")
    assert list(tmp_path.iterdir()) == []


def test_secrets_do_not_show(tmp_path: Path) -> None:
    keys = load_or_create(tmp_path / "keys")
    shown = repr(keys)
    for secret in (keys.api_v3_key.decode(), keys.issuer_secret.decode(), keys.app_secret, keys.face_secret_key):
        assert secret not in shown
