"""The commands about clients, signing keys and the second factor of staff."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from domain.access.rules import hash_of
from models.access import ClientKey, OAuthClient, SigningKeyRow, StaffCredential
from models.identity import User
from tests.jobs.test_operators import Shell, shell

__all__ = ["shell"]


async def every_client() -> list[OAuthClient]:
    return await OAuthClient.all().order_by("client_id")


async def every_key() -> list[ClientKey]:
    return await ClientKey.all().order_by("created_at")


async def every_account() -> list[User]:
    return await User.all()


async def every_credential() -> list[StaffCredential]:
    return await StaffCredential.all()


async def every_signing_key() -> list[SigningKeyRow]:
    return await SigningKeyRow.all().order_by("active_from")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.jwk.json"
    path.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=False)))
    return path


class TestClients:
    def test_a_partner_comes_and_goes(self, shell: Shell, key_file: Path, tmp_path: Path) -> None:
        added = shell("client", "add", "fleet", "--name", "车队", "--scope", "webhooks", "--key", str(key_file))
        assert (added.code, added.out) == (0, "fleet: PARTNER, webhooks\n")
        (client,) = shell.on(every_client)
        assert client.account_id in [user.id for user in shell.on(every_account)]
        other = tmp_path / "other.json"
        other.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=False)))
        assert shell("client", "rotate", "fleet", "--key", str(other)).code == 0
        assert [key.until is None for key in shell.on(every_key)] == [False, True]
        assert re.search(r"^fleet +PARTNER +live +served +webhooks  车队$", shell("client", "list").out, re.M)
        assert shell("client", "disable", "fleet").code == 0
        assert " disabled " in shell("client", "list").out

    def test_a_sandbox_client_is_told_its_secret_once(self, shell: Shell) -> None:
        added = shell("client", "add", "trial", "--name", "试用", "--sandbox", "--tokens-per-hour", "500")
        (secret,) = re.findall(r"ycs_\S+", added.out)
        (client,) = shell.on(every_client)
        assert client.tokens_per_hour_max == 500
        assert client.secret_hash == hash_of(secret)
        rotated = shell("client", "rotate", "trial")
        (fresh,) = re.findall(r"ycs_\S+", rotated.out)
        (client,) = shell.on(every_client)
        assert (client.secret_hash, client.previous_secret_hash) == (hash_of(fresh), hash_of(secret))

    def test_what_makes_no_sense_is_refused(self, shell: Shell, key_file: Path, tmp_path: Path) -> None:
        assert "public key" in shell.refused("client", "add", "p", "--name", "p")
        assert "scope" in shell.refused("client", "add", "p", "--name", "p", "--scope", "staff", "--key", str(key_file))
        assert "No such file" in shell.refused("client", "add", "p", "--name", "p", "--key", str(tmp_path / "none"))
        assert "number" in shell.refused("client", "add", "p", "--name", "p", "--tokens-per-hour", "0")
        assert "number" in shell.refused("client", "add", "p", "--name", "p", "--tokens-per-hour", "1" * 10)
        assert "no such client" in shell.refused("client", "rotate", "p", "--key", str(key_file))
        assert "no such client" in shell.refused("client", "disable", "p")
        assert shell.on(every_client) == []


class TestSigningKeys:
    def test_rotation_and_theft(self, shell: Shell) -> None:
        first = shell("signing-keys", "list").out.split()[0]
        assert shell("signing-keys", "rotate").code == 0
        assert "rotate after that" in shell.refused("signing-keys", "rotate")
        assert len(shell.on(every_signing_key)) == 2
        assert shell("signing-keys", "revoke", first).code == 0
        roles = [line.split()[1] for line in shell("signing-keys", "list").out.splitlines()]
        assert roles == ["current", "gone"]
        assert "no such signing key" in shell.refused("signing-keys", "revoke", "unknown")


class TestStaff:
    def test_a_password_and_a_second_factor_are_shown_once(self, shell: Shell) -> None:
        assert shell("add-staff", "李", "--role", "AUDITOR").code == 0
        shown = shell("enrol-staff", "李")
        assert shown.code == 0
        (password,) = re.findall(r"password: (\S+)", shown.out)
        assert "otpauth://totp/Youka%3A%E6%9D%8E?secret=" in shown.out
        (row,) = shell.on(every_credential)
        assert password not in row.password_hash

    def test_nobody_else_is_enrolled(self, shell: Shell) -> None:
        assert "Nobody of this name" in shell.refused("enrol-staff", "李")
        assert shell.on(every_credential) == []
