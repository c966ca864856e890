"""What a process has reserved of buckets that others take of as well, so that most of what it takes needs no question.

What is reserved was taken of the bucket beforehand, so that all processes together never take more than there is. A
lease is small against its bucket, and is given back when nobody has used it for a while.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from kernel.buckets import Bucket, Draw

# A lease is this part of what a full bucket holds; of buckets of which that is too little to help there are none.
SHARE = 50
SIZE_MIN = 16
IDLE_S = 5.0
LEASES_MAX = 10_000


def size_of(bucket: Bucket) -> int:
    """Return how much of a bucket one process may have reserved; 0 where each piece is asked for."""
    size = bucket.capacity // SHARE
    return size if size >= SIZE_MIN else 0


class Lease:
    """`left` of a bucket is reserved. `renewing` says that more is on its way."""

    __slots__ = ("bucket", "idle_at_s", "left", "renewing", "size")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket, self.size = bucket, size_of(bucket)
        self.left, self.renewing, self.idle_at_s = 0, False, 0.0

    @property
    def low(self) -> bool:
        """Whether it is time to ask for more, so that it is there when it is needed."""
        return not self.renewing and self.left * 2 < self.size


class Leases:
    """The leases of this process by the keys of their buckets."""

    def __init__(self, *, leases_max: int = LEASES_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        # Those looked at longest ago come first.
        self._leases: OrderedDict[str, Lease] = OrderedDict()
        self._leases_max, self._clock = leases_max, clock

    def __len__(self) -> int:
        return len(self._leases)

    def take(self, draw: Draw) -> Lease | None:
        """Take it of what is reserved; None where that is too little."""
        lease = self._leases.get(draw.key)
        if lease is None or lease.left < draw.amount:
            return None
        # Of a bucket whose size has changed it is asked how much there is now.
        if lease.bucket is not draw.bucket and lease.bucket != draw.bucket:
            return None
        lease.left -= draw.amount
        lease.idle_at_s = self._clock() + IDLE_S
        return lease

    def put_back(self, draw: Draw) -> int:
        """Reserve what was not used, and return how much of it has to be given back to the bucket."""
        lease = self._leases.get(draw.key)
        if lease is None:
            return draw.amount
        amount = draw.amount
        kept = max(0, min(lease.size - lease.left, amount))
        lease.left += kept
        return amount - kept

    def left(self, key: str) -> int:
        lease = self._leases.get(key)
        return lease.left if lease else 0

    def wanted(self, draw: Draw) -> int:
        """Return how much more should be reserved of the bucket that is drawn of."""
        if draw.key not in self._leases and len(self._leases) >= self._leases_max:
            return 0
        return max(0, size_of(draw.bucket) - self.left(draw.key))

    def grant(self, key: str, bucket: Bucket, amount: int) -> None:
        """Note that so much more is reserved."""
        lease = self._leases.get(key)
        if lease is None:
            lease = self._leases[key] = Lease(bucket)
        lease.bucket, lease.size, lease.renewing = bucket, size_of(bucket), False
        lease.left += amount
        lease.idle_at_s = self._clock() + IDLE_S

    def end(self, key: str) -> int:
        """Reserve nothing any more, and return how much was left."""
        lease = self._leases.pop(key, None)
        return lease.left if lease else 0

    def idle(self, *, all_of_them: bool = False) -> Iterator[Draw]:
        """End those that nobody has used for a while, and yield what they had left."""
        now_s = self._clock()
        for _ in range(len(self._leases)):
            key, lease = next(iter(self._leases.items()))
            if all_of_them or lease.idle_at_s <= now_s:
                del self._leases[key]
                yield Draw(key, lease.bucket, lease.left)
            else:
                self._leases.move_to_end(key)
