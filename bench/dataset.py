"""Stations, prices, users, cards and orders from a seed, and the requests that ask for them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from tortoise import Tortoise
from tortoise.models import Model

from bench.operations import AMOUNT_YUAN, KEY_MARK, NEAREST, NEAREST_RADIUS_M, ORDERS_SHOWN
from domain.ledger.postings import customer_prepaid
from domain.ledger.shards import shard_of
from kernel.sealing import Sealer
from kernel.states import CardBrand, FailureKind, OrderState, Product, RefundState, ReviewState, StationBrand
from models.cards import FuelCard
from models.database import connected, dialect, migrate
from models.identity import User
from models.ledger import LedgerAccount
from models.orders import RechargeOrder
from models.pricing import Price, PriceZone
from models.stations import Station
from schema.types.relay import global_id

SEED = 20_260_101
# Everything is older than any run, and the same in each.
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
NOTICES = 3
NOTICE_INTERVAL = timedelta(days=14)
CARDS_PER_USER = 2
ORDERS_PER_BUYER = 25
STATIONS_PER_CITY_MIN = 60
PLACES = 500
ROWS_PER_BATCH = 1_000
# About 8 km: a circle of 20 km around the middle holds nearly all stations of a city.
CITY_SPREAD_DEGREES = 0.07
PLACE_SPREAD_DEGREES = 0.02
SUCCEEDED_SHARE = 0.9

CITIES = (
    ("上海市", "310000", 31.2304, 121.4737), ("北京市", "110000", 39.9042, 116.4074),
    ("广州市", "440000", 23.1291, 113.2644), ("成都市", "510000", 30.5728, 104.0668),
    ("杭州市", "330000", 30.2741, 120.1551), ("武汉市", "420000", 30.5928, 114.3055),
    ("西安市", "610000", 34.3416, 108.9398), ("南京市", "320000", 32.0603, 118.7969),
    ("沈阳市", "210000", 41.8057, 123.4315), ("济南市", "370000", 36.6512, 117.1201),
    ("昆明市", "530000", 24.8801, 102.8329), ("长沙市", "430000", 28.2282, 112.9388),
)  # fmt: skip

Row = dict[str, Any]


class SizeInvalid(ValueError):
    """There is too little data for the operations to answer fully; the message says what is needed."""


@dataclass(frozen=True, slots=True)
class Size:
    stations: int
    users: int
    orders: int

    def __post_init__(self) -> None:
        if self.stations < STATIONS_PER_CITY_MIN:
            raise SizeInvalid(f"at least {STATIONS_PER_CITY_MIN} stations are needed to find the nearest {NEAREST}")
        if self.orders < ORDERS_PER_BUYER:
            raise SizeInvalid(f"at least {ORDERS_PER_BUYER} orders are needed to show {ORDERS_SHOWN} of one user")
        if self.buyers > self.users:
            raise SizeInvalid(f"{self.orders} orders need {self.buyers} users, since each buyer has {ORDERS_PER_BUYER}")

    @property
    def buyers(self) -> int:
        """Users with orders; each has the same number, so that every account shows a full page."""
        return self.orders // ORDERS_PER_BUYER


@dataclass(slots=True)
class Dataset:
    """Rows by table, in the order in which they refer to each other. Models of them need an open database."""

    size: Size
    zones: list[Row] = field(default_factory=list)
    prices: list[Row] = field(default_factory=list)
    stations: list[Row] = field(default_factory=list)
    users: list[Row] = field(default_factory=list)
    wallets: list[Row] = field(default_factory=list)
    cards: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)

    def tables(self) -> Sequence[tuple[type[Model], list[Row]]]:
        return (
            (PriceZone, self.zones),
            (Price, self.prices),
            (Station, self.stations),
            (User, self.users),
            (LedgerAccount, self.wallets),
            (FuelCard, self.cards),
            (RechargeOrder, self.orders),
        )


class Generator:
    """Makes the same rows for the same size, whatever the machine and the day."""

    def __init__(self, size: Size, sealer: Sealer) -> None:
        self._random = random.Random(SEED)
        self._sealer = sealer
        self._data = Dataset(size)
        self._cities = CITIES[: max(1, min(len(CITIES), size.stations // STATIONS_PER_CITY_MIN))]

    def generate(self) -> Dataset:
        for city in self._cities:
            self._zone(city)
        for number in range(self._data.size.stations):
            self._station(number)
        for number in range(self._data.size.users):
            self._user(number)
        for number in range(self._data.size.buyers * ORDERS_PER_BUYER):
            self._order(number)
        return self._data

    def places(self) -> list[dict[str, float]]:
        """Return places in the cities from which somebody looks for a station."""
        return [
            {
                "latitude": round(self._random.gauss(latitude, PLACE_SPREAD_DEGREES), 6),
                "longitude": round(self._random.gauss(longitude, PLACE_SPREAD_DEGREES), 6),
            }
            for _, _, latitude, longitude in self._random.choices(self._cities, k=PLACES)
        ]

    def _id(self, moment: datetime) -> UUID:
        """Return what `kernel.ids.new_id` would at that moment, with the seed's bits."""
        bits = self._random.getrandbits(74)
        value = (int(moment.timestamp() * 1000) << 80) | (0x7 << 76) | ((bits >> 62) << 64)
        return UUID(int=value | (0b10 << 62) | (bits & ((1 << 62) - 1)))

    def _zone(self, city: tuple[str, str, float, float]) -> None:
        name, code, _, _ = city
        zone = {"id": self._id(BEGINNING), "province_code": code, "province_name": name, "code": "1", "name": "一价区"}
        self._data.zones.append(zone)
        for product in Product:
            base = self._random.randrange(6_500, 9_500, 10)
            for notice in range(NOTICES):
                self._data.prices.append(
                    {
                        "id": self._id(BEGINNING),
                        "zone_id": zone["id"],
                        "product": product,
                        "milliyuan_per_litre": base + self._random.randrange(-200, 200, 10),
                        "effective_from": BEGINNING + notice * NOTICE_INTERVAL,
                        "source": f"{name}发展和改革委员会",
                        "source_url": f"https://example.invalid/{code}/{notice}",
                        "created_at": BEGINNING,
                        "updated_at": BEGINNING,
                    }
                )

    def _station(self, number: int) -> None:
        which = number % len(self._cities)
        name, _, latitude, longitude = self._cities[which]
        brand = self._random.choice(list(StationBrand))
        self._data.stations.append(
            {
                "id": self._id(BEGINNING),
                "source_key": f"bench/{number}",
                "name": f"{name}第{number}加油站",
                "brand": brand,
                "address": f"人民路{self._random.randrange(1, 2_000)}号",
                "province": name,
                "city": name,
                "district": "中心区",
                "latitude": round(self._random.gauss(latitude, CITY_SPREAD_DEGREES), 6),
                "longitude": round(self._random.gauss(longitude, CITY_SPREAD_DEGREES), 6),
                "zone_id": self._data.zones[which]["id"],
                "created_at": BEGINNING,
                "updated_at": BEGINNING,
            }
        )

    def _user(self, number: int) -> None:
        identifier = self._id(BEGINNING)
        self._data.users.append(
            {
                "id": identifier,
                "openid": f"bench-{number}",
                "display_name": "油卡用户",
                "created_at": BEGINNING,
            }
        )
        self._data.wallets.append(
            {
                "id": self._id(BEGINNING),
                "code": customer_prepaid(identifier),
                "shard": shard_of(identifier),
                "balance_fen": -self._random.randrange(100, 100_000),
                "version": 1,
                "created_at": BEGINNING,
            }
        )
        self._card(identifier, CardBrand.SINOPEC, f"100011{number:013d}")
        self._card(identifier, CardBrand.PETROCHINA, f"9{number:015d}")

    def _card(self, user_id: UUID, brand: CardBrand, digits: str) -> None:
        identifier = self._id(BEGINNING)
        self._data.cards.append(
            {
                "id": identifier,
                "user_id": user_id,
                "brand": brand,
                "number_sealed": self._sealer.seal(digits, owner=str(identifier)),
                "number_digest": self._sealer.digest(digits),
                "number_tail": digits[-4:],
                "created_at": BEGINNING,
            }
        )

    def _order(self, number: int) -> None:
        # Buyers take turns, so that the orders of one user do not lie beside each other.
        buyer = number % self._data.size.buyers
        card = buyer * CARDS_PER_USER + number // self._data.size.buyers % CARDS_PER_USER
        moment = BEGINNING + timedelta(minutes=number)
        succeeded = self._random.random() < SUCCEEDED_SHARE
        amount_fen = self._random.choice((10_000, 20_000, 50_000, 100_000))
        self._data.orders.append(
            {
                "id": self._id(moment),
                "user_id": self._data.users[buyer]["id"],
                "card_id": self._data.cards[card]["id"],
                "amount_fen": amount_fen,
                "price_fen": amount_fen,
                "state": OrderState.SUCCEEDED if succeeded else OrderState.FAILED,
                "version": 4 if succeeded else 2,
                "failure_kind": None if succeeded else FailureKind.CANCELLED,
                "refund_state": RefundState.NONE,
                "review_state": ReviewState.NONE,
                "pay_deadline_at": moment + timedelta(minutes=15),
                "created_at": moment,
                "updated_at": moment + timedelta(seconds=30),
            }
        )


async def load(url: str, data: Dataset) -> None:
    """Create the tables at the address and fill them, then let the database look at what it holds."""
    await migrate(url)
    async with connected(url):
        for model, rows in data.tables():
            await model.bulk_create([model(**row) for row in rows], batch_size=ROWS_PER_BATCH)
        connection = Tortoise.get_connection("default")
        await connection.execute_script(
            "ANALYZE" if dialect() == "postgres" else "ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)"
        )


def write_samples(path: Path, data: Dataset, places: Sequence[dict[str, float]], issue: Callable[[UUID], str]) -> None:
    """Write what the load generator sends: for each operation a list of tokens and variables.

    Stations are asked for by nobody in particular, since they are public; `issue` makes an access token of a user.
    """
    tokens = {user["id"]: issue(user["id"]) for user in data.users}
    samples: dict[str, list[dict[str, Any]]] = {
        "station": [{"token": "", "variables": {"id": global_id("Station", row["id"])}} for row in data.stations],
        "nearest": [
            {"token": "", "variables": {"near": place, "radius": NEAREST_RADIUS_M, "first": NEAREST}}
            for place in places
        ],
        "account": [
            {"token": tokens[user["id"]], "variables": {"first": ORDERS_SHOWN}}
            for user in data.users[: data.size.buyers]
        ],
        "recharge": [
            {
                "token": tokens[user["id"]],
                "variables": {
                    "input": {
                        "cardId": global_id("Card", data.cards[number * CARDS_PER_USER]["id"]),
                        "amount": AMOUNT_YUAN,
                        "idempotencyKey": KEY_MARK,
                    }
                },
            }
            for number, user in enumerate(data.users)
        ],
    }
    path.write_bytes(orjson.dumps(samples))
