"""Keys of a deployment: made once while developing, given in production."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from kernel import keys
from kernel.settings import Environment, Settings


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert keys.token_key(settings).as_dict() == keys.token_key(settings).as_dict()
    assert (tmp_path / "keys" / "token.pem").stat().st_mode & 0o777 == keys.PRIVATE_MODE


def test_production_takes_no_key_that_was_made_while_developing(tmp_path: Path) -> None:
    keys.token_key(Settings(data_dir=tmp_path))
    keys.sealer(Settings(data_dir=tmp_path))
    production = Settings(data_dir=tmp_path, environment=Environment.PRODUCTION)
    with pytest.raises(keys.KeyMissing, match="YOUKA_TOKEN_KEY_PATH"):
        keys.token_key(production)
    with pytest.raises(keys.KeyMissing, match="YOUKA_DATA_KEY"):
        keys.sealer(production)


def test_production_invents_no_key(tmp_path: Path) -> None:
    absent = tmp_path / "absent.pem"
    with pytest.raises(keys.KeyMissing, match="YOUKA_TOKEN_KEY_PATH"):
        keys.token_key(Settings(data_dir=tmp_path, environment=Environment.PRODUCTION, token_key_path=absent))
    assert list(tmp_path.iterdir()) == []


def test_production_takes_what_it_is_given(tmp_path: Path) -> None:
    made = keys.token_key(Settings(data_dir=tmp_path))
    given = Settings(
        data_dir=tmp_path / "empty",
        environment=Environment.PRODUCTION,
        token_key_path=tmp_path / "keys" / "token.pem",
        data_key=SecretStr(base64.b64encode(bytes(32)).decode()),
    )
    assert keys.token_key(given).as_dict() == made.as_dict()
    assert keys.sealer(given).open(keys.sealer(given).seal("1", owner="a"), owner="a") == "1"
    assert not (tmp_path / "empty").exists()


def test_what_is_no_key_is_named_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    path.write_text("none-5521")
    for given, read in (({"data_key": "none-5521"}, keys.sealer), ({"token_key_path": path}, keys.token_key)):
        (name,) = given
        with pytest.raises(keys.KeyUnusable, match=f"YOUKA_{name.upper()}") as unusable:
            read(Settings(data_dir=tmp_path, **given))
        assert "none-5521" not in str(unusable.value)
