"""Stations, prices, users, cards and orders from a seed, and the requests that ask for them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from tortoise.models import Model

from bench.operations import AMOUNT_YUAN, KEY_MARK, NEAREST, NEAREST_RADIUS_M, ORDERS_SHOWN, PRICES
from domain.ledger.postings import customer_prepaid
from domain.ledger.shards import shard_of
from kernel.sealing import Sealer
from kernel.states import CardBrand, FailureKind, OrderState, Product, RefundState, ReviewState, StationBrand
from models.cards import FuelCard
from models.identity import User
from models.ledger import LedgerAccount
from models.orders import RechargeOrder
from models.pricing import Price, PriceZone
from models.stations import Station
from schema.types.relay import global_id

SEED = 20_260_101
# Everything is older than any run, and the same in each.
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ENDING = BEGINNING + timedelta(days=300)
NOTICES = 3
NOTICE_INTERVAL = timedelta(days=14)
CARDS_PER_USER = 2
ORDERS_PER_BUYER_MIN = 25
ORDER_INTERVAL_MAX = timedelta(minutes=1)
PAY_WITHIN, SETTLED_AFTER = timedelta(minutes=15), timedelta(seconds=30)
AMOUNTS_FEN = (10_000, 20_000, 50_000, 100_000)
# Who is signed in during a run, on each side of the wallet; a token that one server keeps, another may keep as well.
ONLINE_MAX = 1_000
STATIONS_ASKED_MAX = 5_000
STATIONS_PER_CITY_MIN = 60
PLACES = 500
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
        if self.users < 1 or self.orders < ORDERS_PER_BUYER_MIN:
            raise SizeInvalid(f"at least {ORDERS_PER_BUYER_MIN} orders are needed to show {ORDERS_SHOWN} of one user")

    @property
    def buyers(self) -> int:
        """Users with orders; each has about the same number, so that every account shows a full page."""
        return min(self.users, self.orders // ORDERS_PER_BUYER_MIN)

    def times(self, count: int) -> Size:
        """Return the size with so many times the stations and orders."""
        return Size(stations=self.stations * count, users=self.users, orders=self.orders * count)


class Dataset:
    """Makes the same rows for the same size, whatever the machine and the day, in the order of their references.

    Rows that are many are made while they are read, and anew each time.
    """

    def __init__(self, size: Size, sealer: Sealer) -> None:
        self.size = size
        self.zones: list[Row] = []
        self.prices: list[Row] = []
        self.stations: list[Row] = []
        self._random = random.Random(SEED)
        self._sealer = sealer
        self._cities = CITIES[: max(1, min(len(CITIES), size.stations // STATIONS_PER_CITY_MIN))]
        for city in self._cities:
            self._zone(city)
        for number in range(size.stations):
            self._station(number)
        self.user_ids = [self._id(BEGINNING) for _ in range(size.users)]
        self.card_ids = [self._id(BEGINNING) for _ in range(size.users * CARDS_PER_USER)]
        self.places = self._places()

    def tables(self) -> Sequence[tuple[type[Model], Iterable[Row]]]:
        return (
            (PriceZone, self.zones),
            (Price, self.prices),
            (Station, self.stations),
            (User, self._users()),
            (LedgerAccount, self._wallets()),
            (FuelCard, self._cards()),
            (RechargeOrder, self._orders()),
        )

    def _places(self) -> list[dict[str, float]]:
        """Return places in the cities from which somebody looks for a station."""
        return [
            {
                "latitude": round(self._random.gauss(latitude, PLACE_SPREAD_DEGREES), 6),
                "longitude": round(self._random.gauss(longitude, PLACE_SPREAD_DEGREES), 6),
            }
            for _, _, latitude, longitude in self._random.choices(self._cities, k=PLACES)
        ]

    def _id(self, moment: datetime) -> UUID:
        return _id_of(self._random, moment)

    def _zone(self, city: tuple[str, str, float, float]) -> None:
        name, code, _, _ = city
        zone = {"id": self._id(BEGINNING), "province_code": code, "province_name": name, "code": "1", "name": "一价区"}
        self.zones.append(zone)
        for product in list(Product)[:PRICES]:
            base = self._random.randrange(6_500, 9_500, 10)
            for notice in range(NOTICES):
                self.prices.append(
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
        self.stations.append(
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
                "zone_id": self.zones[which]["id"],
                "created_at": BEGINNING,
                "updated_at": BEGINNING,
            }
        )

    def _users(self) -> Iterator[Row]:
        for number, identifier in enumerate(self.user_ids):
            yield {
                "id": identifier,
                "openid": f"bench-{number}",
                "display_name": "油卡用户",
                "created_at": BEGINNING,
            }

    def _wallets(self) -> Iterator[Row]:
        chance = random.Random(SEED + 1)
        for identifier in self.user_ids:
            yield {
                "id": _id_of(chance, BEGINNING),
                "code": customer_prepaid(identifier),
                "shard": shard_of(identifier),
                "balance_fen": -chance.randrange(100, 100_000),
                "version": 1,
                "created_at": BEGINNING,
            }

    def _cards(self) -> Iterator[Row]:
        for number, identifier in enumerate(self.card_ids):
            user, second = divmod(number, CARDS_PER_USER)
            brand, digits = (
                (CardBrand.PETROCHINA, f"9{user:015d}") if second else (CardBrand.SINOPEC, f"100011{user:013d}")
            )
            yield {
                "id": identifier,
                "user_id": self.user_ids[user],
                "brand": brand,
                "number_sealed": self._sealer.seal(digits, owner=str(identifier)),
                "number_digest": self._sealer.digest(digits),
                "number_tail": digits[-4:],
                "created_at": BEGINNING,
            }

    def _orders(self) -> Iterator[Row]:
        chance, buyers = random.Random(SEED + 2), self.size.buyers
        every = min(ORDER_INTERVAL_MAX, (ENDING - BEGINNING) / self.size.orders)
        for number in range(self.size.orders):
            # Buyers take turns, so that the orders of one user do not lie beside each other.
            turn, buyer = divmod(number, buyers)
            moment = BEGINNING + number * every
            succeeded = chance.random() < SUCCEEDED_SHARE
            amount_fen = chance.choice(AMOUNTS_FEN)
            yield {
                "id": _id_of(chance, moment),
                "user_id": self.user_ids[buyer],
                "card_id": self.card_ids[buyer * CARDS_PER_USER + turn % CARDS_PER_USER],
                "amount_fen": amount_fen,
                "price_fen": amount_fen,
                "state": OrderState.SUCCEEDED if succeeded else OrderState.FAILED,
                "version": 4 if succeeded else 2,
                "failure_kind": None if succeeded else FailureKind.CANCELLED,
                "refund_state": RefundState.NONE,
                "review_state": ReviewState.NONE,
                "pay_deadline_at": moment + PAY_WITHIN,
                "created_at": moment,
                "updated_at": moment + SETTLED_AFTER,
            }


def _id_of(chance: random.Random, moment: datetime) -> UUID:
    """Return what `kernel.ids.new_id` would at that moment, with the seed's bits."""
    bits = chance.getrandbits(74)
    value = (int(moment.timestamp() * 1000) << 80) | (0x7 << 76) | ((bits >> 62) << 64)
    return UUID(int=value | (0b10 << 62) | (bits & ((1 << 62) - 1)))


def write_samples(path: Path, data: Dataset, issue: Callable[[UUID], str]) -> None:
    """Write what the load generator sends: for each operation a list of tokens and variables.

    Whoever asks is signed in; `issue` makes an access token of a user. Those who recharge are others than those who
    look at their account, so that what an account shows stays the same.
    """
    online = list(_spread(data.size.buyers, 2 * ONLINE_MAX))
    looking, recharging = online[::2], online[1::2] or online
    tokens = {number: issue(data.user_ids[number]) for number in online}
    turns = itertools.cycle(tokens[number] for number in looking)
    samples: dict[str, list[dict[str, Any]]] = {
        "station": [
            {"token": next(turns), "variables": {"id": global_id("Station", data.stations[number]["id"])}}
            for number in _spread(len(data.stations), STATIONS_ASKED_MAX)
        ],
        "nearest": [
            {"token": next(turns), "variables": {"near": place, "radius": NEAREST_RADIUS_M, "first": NEAREST}}
            for place in data.places
        ],
        "account": [{"token": tokens[number], "variables": {"first": ORDERS_SHOWN}} for number in looking],
        "recharge": [
            {
                "token": tokens[number],
                "variables": {
                    "input": {
                        "cardId": global_id("Card", data.card_ids[number * CARDS_PER_USER]),
                        "amount": AMOUNT_YUAN,
                        "idempotencyKey": KEY_MARK,
                    }
                },
            }
            for number in recharging
        ],
    }
    path.write_bytes(orjson.dumps(samples))


def _spread(count: int, most: int) -> Iterator[int]:
    """Return at most so many numbers from 0 up to `count`, from everywhere."""
    wanted = min(count, most)
    return (place * count // wanted for place in range(wanted))
