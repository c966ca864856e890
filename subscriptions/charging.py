"""What operations cost is taken of their client's bucket before they are executed; what was not used is put back."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from prometheus_client import Counter

from domain.budgets.operations import Budgets
from kernel.buckets import Draw, Level
from kernel.errors import YoukaError
from kernel.logs import get_logger
from schema.types.charges import Charge, Price
from schema.types.context import Context
from subscriptions.callers import Asker
from subscriptions.execution import Prepared
from subscriptions.heads import RawHeaders
from subscriptions.schemas import ExecutableSchema

log = get_logger(__name__)

MS = 1_000
# As draft-ietf-httpapi-ratelimit-headers has them.
POLICY, STANDING = b'"cost";q=%d;w=%d', b'"cost";r=%d;t=%d'
LINES = b"ratelimit-policy: %b\r\nratelimit: %b\r\n" % (POLICY, STANDING)
EXTENSION = b'{"requested":%d,"fieldCost":%d,"typeCost":%d,"actual":%b,"remaining":%d,"limit":%d,"resetAt":"%b.%03dZ"}'
# Most buckets are full again within the same few seconds, which are written once.
SECONDS_KEPT_MAX = 256
REFUSALS = Counter(
    "youka_requests_refused_for_cost_total", "How many operations were refused for what they cost", ["code"]
)


class RateLimited(YoukaError):
    """The client's bucket holds less than the operation costs; `retryAfterMs` says when it does."""

    code = "RATE_LIMITED"
    messages = {
        "zh-CN": "请求过于频繁，请在 {retryAfterMs} 毫秒后重试",
        "en": "Too much was asked in a short time; please try again in {retryAfterMs} ms",
    }


class CostTooHigh(YoukaError):
    """The operation costs more than the client's bucket can hold, so that waiting does not help."""

    code = "COST_TOO_HIGH"
    messages = {
        "zh-CN": "请求成本 {cost} 超出上限 {maximum}，请缩小范围或分次请求",
        "en": "The request costs {cost}, and {maximum} is the most; ask for less, or for one part after another",
    }


class Due(NamedTuple):
    """What is to be taken of a bucket of which this process cannot tell by itself how much it holds."""

    draw: Draw
    price: Price


class Charging:
    """Charges the operations of one schema."""

    def __init__(self, schema: ExecutableSchema, budgets: Budgets, *, cost_of_refusal: int = 0) -> None:
        self._schema, self.budgets = schema, budgets
        self._cost_of_refusal = cost_of_refusal

    def admit(self, context: Context) -> None:
        """Raises RateLimited where the client's bucket is empty, before anything is read for it."""
        draw = self.budgets.draw(viewer=context.viewer, address=context.address, cost=1)
        if not self.budgets.buckets.holds(draw):
            raise _limited(draw, self.budgets.buckets.peek(draw))

    def refused(self, context: Context) -> None:
        """Take what reading a document costs that is not executed; of a bucket that holds less, all that it holds."""
        draw = self.budgets.draw(viewer=context.viewer, address=context.address, cost=self._cost_of_refusal)
        level = self.budgets.buckets.spend(draw)
        if not level.enough:
            left = self.budgets.draw(viewer=context.viewer, address=context.address, cost=level.remaining)
            self.budgets.buckets.spend(left)

    def price(self, prepared: Prepared) -> Price:
        """Return what the operation costs at most; of a subscription, what one event of it does."""
        return self._schema.plan(prepared.known, prepared.operation).price(prepared.variables)

    def begin_here(self, prepared: Prepared, context: Context) -> Charge | Due:
        """As `begin`, but for Redis: where that has to be asked, what `take` takes is returned."""
        price = self.price(prepared)
        cost = price.total
        draw = self.budgets.draw(viewer=context.viewer, address=context.address, cost=cost)
        if cost > draw.bucket.capacity:
            REFUSALS.labels(CostTooHigh.code).inc()
            raise CostTooHigh(cost=cost, maximum=draw.bucket.capacity)
        level = self.budgets.buckets.take_here(draw)
        return Due(draw, price) if level is None else _charge(draw, level, price, context)

    async def take(self, due: Due, context: Context) -> Charge:
        """Take what is due. Raises RateLimited, and then nothing was taken."""
        (level,) = await self.budgets.buckets.take([due.draw])
        return _charge(due.draw, level, due.price, context)

    async def begin(self, prepared: Prepared, context: Context) -> Charge:
        """Take what the operation costs. Raises RateLimited or CostTooHigh, and then nothing was taken."""
        begun = self.begin_here(prepared, context)
        return begun if isinstance(begun, Charge) else await self.take(begun, context)

    def begin_known(self, price: Price, cost: int, asker: Asker) -> Charge | None:
        """Take what an answer has cost that is there already; None where that is too much, or Redis has to be asked."""
        draw = self.budgets.draw(viewer=asker.viewer, address=asker.address, cost=cost)
        if price.total > draw.bucket.capacity:
            return None
        level = self.budgets.buckets.take_here(draw)
        return Charge(draw, level, price, asker.now, cost) if level is not None and level.enough else None

    def settle(self, charge: Charge, measured: int) -> None:
        """Put back what was not used. Nobody pays more than was announced, and where it was more, we hear of it."""
        taken = charge.draw.amount
        if measured > taken:
            log.warning("cost.underestimated", announced=taken, measured=measured)
            measured = taken
        unused = charge.settle(measured or 1)
        if unused:
            self.budgets.buckets.give_back(charge.draw.of(unused))

    def opening(self, charge: Charge, prepared: Prepared) -> None:
        """Keep of a subscription's charge what beginning it costs; its events are charged when they come."""
        name = prepared.root.name.value
        self.settle(charge, self._schema.cost_of_call("Subscription", name))


def headers_of(charge: Charge) -> RawHeaders:
    """Return the policy of the client's bucket, and where it stands."""
    capacity, refill_s, remaining, full_after_s = _standing(charge)
    return [
        (b"ratelimit-policy", POLICY % (capacity, refill_s)),
        (b"ratelimit", STANDING % (remaining, full_after_s)),
    ]


def lines_of(charge: Charge) -> bytes:
    """Return the same headers as HTTP/1.1 has them."""
    return LINES % _standing(charge)


def extension_of(charge: Charge) -> bytes:
    """Return what an answer says of its cost under `extensions.cost`, as JSON."""
    fields, types = charge.price
    second, ms = divmod(int((charge.taken_at.timestamp() + charge.full_after_s) * MS), MS)
    return EXTENSION % (
        fields + types,
        fields,
        types,
        b"null" if charge.actual is None else b"%d" % charge.actual,
        charge.remaining,
        charge.draw.bucket.capacity,
        _written(second),
        ms,
    )


def _standing(charge: Charge) -> tuple[int, int, int, int]:
    """Return how much the bucket holds, within how many seconds it fills, how much is in it, and when it is full."""
    bucket = charge.draw.bucket
    return bucket.capacity, ceil(bucket.refill_s), charge.remaining, ceil(charge.full_after_s)


@lru_cache(maxsize=SECONDS_KEPT_MAX)
def _written(second: int) -> bytes:
    """Write a second of UTC, which is told from the epoch on."""
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat().encode()


def _charge(draw: Draw, level: Level, price: Price, context: Context) -> Charge:
    """Raises RateLimited."""
    if not level.enough:
        raise _limited(draw, level)
    return Charge(draw, level, price, context.now)


def _limited(draw: Draw, level: Level) -> RateLimited:
    REFUSALS.labels(RateLimited.code).inc()
    return RateLimited(
        retryAfterMs=ceil(level.wait_s * MS), cost=draw.amount, remaining=level.remaining, limit=draw.bucket.capacity
    )
