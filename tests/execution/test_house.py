"""Operations drawn over the house's own schema, on a database, with rows that fail and attributes that are missing."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, cast

import pytest
from graphql import GraphQLObjectType, GraphQLScalarType, parse, specified_rules, validate

from domain.identity.scopes import Scope
from domain.identity.staff import STAFF_CLIENT_ID
from domain.identity.viewer import Viewer
from domain.orders.policy import Policy
from domain.stations.feed import PriceFeed
from domain.stations.index import StationIndex
from domain.switches.switchboard import Switchboard, UnderMaintenance
from kernel import keys
from kernel.clock import utc_now
from kernel.settings import Settings
from models.database import connected
from models.joining import Joined, of_request
from resolvers import loaders
from schema.execution.documents import OperationCache
from schema.extensions.metering import MeteredExecutor, Metering
from schema.root import build
from schema.types.charges import Meter
from schema.types.context import Context, Services
from tests.access_matrix.belongings import Belongings, create_belongings
from tests.execution.comparing import Both
from tests.execution.generating import Drawing
from tests.factories import create_staff
from tests.subscriptions.serving import Silence

HOUSE = build()
SCHEMA = HOUSE.core
CACHE = OperationCache(parse, lambda node: validate(SCHEMA, node, specified_rules), size_max_bytes=1 << 26)
OPERATIONS_EACH = 80
pytestmark = [
    pytest.mark.usefixtures("siblings_may_be_abandoned"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Trouble:
    """Breaks what is made, by chance and in the order in which it is made, which has to be the same both times."""

    def __init__(self) -> None:
        self.share = 0.0
        self.random = Random(0)

    def begin(self, seed: int) -> None:
        self.random = Random(seed)

    def strikes(self) -> bool:
        return self.random.random() < self.share

    def spoil(self, made: Any) -> None:
        if self.strikes():
            names = [each.name for each in dataclasses.fields(made)]
            object.__setattr__(made, self.random.choice(names), self.random.choice([None, ValueError("spoilt"), [], 7]))

    def failing(self, load: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        async def load_or_fail(asked: Any) -> Any:
            if self.strikes():
                raise RuntimeError("the database is away")
            return await load(asked)

        return load_or_fail

    def failing_loaders(self, whole: Any) -> Any:
        """Return loaders that fail by chance, those in groups as well."""
        return FailingLoaders(whole, self)


class FailingLoaders:
    """Makes a loader that fails by chance of each that is asked for."""

    def __init__(self, whole: Any, trouble: Trouble) -> None:
        self._whole = whole
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        part = getattr(self._whole, name)
        made = (
            of_request(self._trouble.failing(part.source))
            if isinstance(part, Joined)
            else FailingLoaders(part, self._trouble)
        )
        setattr(self, name, made)
        return made


@dataclass
class Asking:
    """Who asks, and whether the house is under maintenance."""

    viewer: Viewer | None
    maintenance: bool = False


class Closed(Switchboard):
    def require_open(self) -> None:
        raise UnderMaintenance


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    """Everything that the schema's types are made of may be spoilt."""
    found = Trouble()

    def spoilt(kind: Any) -> None:
        original = kind.__init__

        def init(self: Any, *arguments: Any, **values: Any) -> None:
            original(self, *arguments, **values)
            if type(self) is kind:
                found.spoil(self)

        monkeypatch.setattr(kind, "__init__", init)

    origins = {
        kind.extensions["strawberry-definition"].origin
        for kind in SCHEMA.type_map.values()
        if isinstance(kind, GraphQLObjectType) and "strawberry-definition" in kind.extensions
    }
    for origin in origins:
        if "__init__" in vars(origin):
            spoilt(origin)
    return found


@pytest.fixture
async def belongings(database_url: str) -> AsyncIterator[Belongings]:
    """What there is in the database, of which one statement is done after the other, as they were begun."""
    async with connected(database_url, Settings(database_pool_size_max=1)):
        yield await create_belongings(Settings())


async def people(belongings: Belongings) -> dict[str, Asking]:
    member = await create_staff()
    staff = Viewer(member.id, STAFF_CLIENT_ID, frozenset({Scope.STAFF.value}), utc_now() + timedelta(hours=1))
    owner = replace(belongings.owner, scopes=frozenset(Scope) - {Scope.STAFF})
    return {
        "nobody": Asking(None),
        "the owner": Asking(owner),
        "staff": Asking(staff),
        "maintenance": Asking(owner, maintenance=True),
    }


def house(asking: Asking, trouble: Trouble, now: datetime) -> Callable[[], Context]:
    settings, nobody = Settings(), cast(Any, None)
    stations = StationIndex()
    services = Services(
        settings=settings,
        third_parties=nobody,
        policy=Policy.of(settings),
        sealer=keys.sealer(settings),
        tokens=nobody,
        events=Silence(),
        stations=stations,
        prices=PriceFeed(stations),
        switches=Closed() if asking.maintenance else Switchboard(),
    )

    def context() -> Context:
        return Context(
            services=services,
            loaders=trouble.failing_loaders(loaders.build(lambda: now)),
            viewer=asking.viewer,
            locale="en",
            clock=lambda: now,
            meter=Meter(),
        )

    return context


def scalars(belongings: Belongings) -> dict[str, Callable[[Random], Any]]:
    """Return how values of each scalar are drawn; those of no particular form are texts."""
    ids = [*belongings.ids.values(), belongings.session, "nonsense"]
    drawn: dict[str, Callable[[Random], Any]] = {
        name: lambda random: random.choice(["", "x", "油卡", "key-of-a-test", "310000"])
        for name, kind in SCHEMA.type_map.items()
        if isinstance(kind, GraphQLScalarType)
    }
    return drawn | {
        "ID": lambda random: random.choice(ids),
        "Int": lambda random: random.choice([0, 1, 3, 20, 1_000]),
        "Float": lambda random: random.choice([31.2, 121.4, 0, -200.5]),
        "Boolean": lambda random: random.random() < 0.5,
        "Yuan": lambda random: random.choice(["500.00", 100, "0.001"]),
        "DateTime": lambda random: random.choice(["2026-11-29T00:00:00+08:00", "2026-11-29T00:00:00Z"]),
        "JSONObject": lambda random: random.choice([{}, {"a": [1]}]),
    }


class House(Both):
    """Both ways over the house's schema, which meet the same trouble."""

    def __init__(self, context: Callable[[], Context], trouble: Trouble, seed: int) -> None:
        def begin() -> Context:
            trouble.begin(seed)
            return context()

        super().__init__(SCHEMA, CACHE, begin, core=MeteredExecutor, metering=Metering(HOUSE.prices))


async def compare_many(
    kind: str, asking: Asking, belongings: Belongings, trouble: Trouble, *, wanted: list[str] | None = None
) -> tuple[int, int]:
    """Return how many operations were compared, and how many of them had errors."""
    root = cast(GraphQLObjectType, SCHEMA.query_type if kind == "query" else SCHEMA.mutation_type)
    context = house(asking, trouble, utc_now())
    compared = faulty = 0
    for seed in range(OPERATIONS_EACH):
        trouble.share = [0.0, 0.02, 0.1][seed % 3]
        drawn = Drawing(SCHEMA, Random(seed), scalars(belongings)).document(kind, root, wanted=wanted)
        document = CACHE.get(drawn.text)
        assert document.refusal is None, drawn.text
        if document.errors:
            continue
        house_of = House(context, trouble, seed)
        result = await house_of.compare(drawn.text, drawn.variables, planned=None)
        if not trouble.share:
            # The second time by generated code, which makes things in another order, so that trouble strikes elsewhere.
            result = await house_of.compare(drawn.text, drawn.variables, planned=None)
        compared += 1
        faulty += bool(result.errors)
    return compared, faulty


@pytest.mark.parametrize("who", ["nobody", "the owner", "staff"])
async def test_what_is_asked_for_is_answered_alike(who: str, belongings: Belongings, trouble: Trouble) -> None:
    asking = (await people(belongings))[who]
    compared, faulty = await compare_many("query", asking, belongings, trouble)
    assert compared >= OPERATIONS_EACH // 2
    assert 0 < faulty < compared


@pytest.mark.parametrize("who", ["nobody", "maintenance"])
async def test_what_is_refused_is_refused_alike(who: str, belongings: Belongings, trouble: Trouble) -> None:
    """Mutations of those who may change nothing, so that the second way finds what the first one found."""
    asking = (await people(belongings))[who]
    mutation = cast(GraphQLObjectType, SCHEMA.mutation_type)
    for_anybody = {"bindPhone", "requestSmsCode", "voiceTurn", "setSwitch", "turnSwitch"}
    compared, _ = await compare_many(
        "mutation", asking, belongings, trouble, wanted=[name for name in mutation.fields if name not in for_anybody]
    )
    assert compared >= OPERATIONS_EACH // 2
