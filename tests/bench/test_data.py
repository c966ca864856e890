"""The data that is measured on, and what the servers are told."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from bench.databases import WRITTEN, written
from bench.dataset import ORDERS_PER_BUYER_MIN, Dataset, Size, SizeInvalid, write_samples
from bench.environments import Environments
from bench.operations import OPERATIONS, PRICES
from bench.subjects import SUBJECTS
from domain.identity.scopes import Scope
from kernel.clock import utc_now
from kernel.sealing import Sealer
from kernel.settings import Settings

SIZE = Size(stations=120, users=40, orders=250)
SEALER = Sealer(bytes(32))


def rows(data: Dataset) -> dict[str, list[dict[str, Any]]]:
    """Return all rows by table, without what is sealed anew each time."""
    return {
        model.__name__: [{name: value for name, value in row.items() if name != "number_sealed"} for row in made]
        for model, made in data.tables()
    }


class TestDataset:
    def test_is_the_same_each_time(self) -> None:
        data = Dataset(SIZE, SEALER)
        assert rows(data) == rows(data) == rows(Dataset(SIZE, SEALER))

    def test_has_the_size_that_was_asked_for(self) -> None:
        made = rows(Dataset(SIZE, SEALER))
        counts = {name: len(made[name]) for name in ("Station", "User", "LedgerAccount", "RechargeOrder")}
        assert counts == {"Station": 120, "User": 40, "LedgerAccount": 40, "RechargeOrder": 250}
        assert {len({row["product"] for row in made["Price"]})} == {PRICES}

    def test_every_buyer_fills_a_page_and_pays_with_own_cards(self) -> None:
        made = rows(Dataset(SIZE, SEALER))
        orders = made["RechargeOrder"]
        by_user = Counter(row["user_id"] for row in orders)
        assert len(by_user) == SIZE.buyers == 10
        assert min(by_user.values()) >= ORDERS_PER_BUYER_MIN
        owners = {row["id"]: row["user_id"] for row in made["FuelCard"]}
        assert all(owners[row["card_id"]] == row["user_id"] for row in orders)
        assert len({row["id"] for row in orders}) == len(orders)
        assert orders == sorted(orders, key=lambda row: row["created_at"])

    def test_ten_times_the_orders_are_of_the_same_users_and_not_of_the_future(self) -> None:
        large = Dataset(SIZE.times(10), SEALER)
        assert large.size == Size(stations=1_200, users=40, orders=2_500)
        orders = rows(large)["RechargeOrder"]
        assert len(orders) == 2_500
        assert max(row["created_at"] for row in orders) < utc_now() - timedelta(days=1)

    def test_too_little_is_refused(self) -> None:
        with pytest.raises(SizeInvalid):
            Size(stations=120, users=0, orders=250)

    def test_requests_are_signed_and_those_who_pay_are_not_those_who_look(self, tmp_path: Path) -> None:
        path = tmp_path / "samples.json"
        write_samples(path, Dataset(SIZE, SEALER), str)
        samples = orjson.loads(path.read_bytes())
        assert set(samples) == set(OPERATIONS)
        tokens = {name: {sample["token"] for sample in samples[name]} for name in OPERATIONS}
        assert all(UUID(token) for of_one in tokens.values() for token in of_one)
        assert tokens["station"] | tokens["nearest"] == tokens["account"]
        assert not tokens["account"] & tokens["recharge"]


class TestEnvironments:
    def test_the_callers_settings_stay_outside(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("YOUKA_OPERATION_TIMEOUT_S", "REDIS_URL", "DATABASE_URL", "NODE_OPTIONS"):
            monkeypatch.setenv(name, "of the caller")
        made = Environments.create(tmp_path)
        for subject in SUBJECTS.values():
            told = made.of(subject, database_url="postgres://here", redis_url="")
            assert "of the caller" not in told.values()
            assert told["YOUKA_ENVIRONMENT"] == "production"
            assert told["DATABASE_URL"] == "postgres://here"

    def test_node_checks_tokens_by_a_public_key(self, tmp_path: Path) -> None:
        made = Environments.create(tmp_path)
        told = made.of(SUBJECTS["yoga"], database_url="", redis_url="")
        assert "PRIVATE" not in told["TOKEN_PUBLIC_KEY"]
        user_id = UUID(int=7)
        token = made.tokens.issue(user_id=user_id, client_id="bench", scopes=frozenset({Scope.PROFILE}), now=utc_now())
        claims = jwt.decode(token, ECKey.import_key(told["TOKEN_PUBLIC_KEY"]), ["ES256"]).claims
        assert (claims["sub"], claims["iss"], claims["aud"]) == (
            str(user_id), told["YOUKA_TOKEN_ISSUER"], told["TOKEN_AUDIENCE"],
        )  # fmt: skip


def test_rows_are_counted_however_long_that_takes(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # No statement is done within the time that a server gives one here.
    hasty = Settings(database_command_timeout_s=0.0001)
    monkeypatch.setattr("models.database.get_settings", lambda: hasty)
    assert written(postgres_url) == dict.fromkeys((table.__name__ for table in WRITTEN), 0)
