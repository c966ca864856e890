"""The audit of sign-ins: written in the transaction of what it tells of, and never changed."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from domain.signins.rules import Past, Place
from kernel.access_states import SignInKind, SignInSignal
from kernel.ids import new_id
from kernel.sealing import Sealer
from models.database import transactional
from models.sign_ins import SignInRecord

CLIENT_ID_LENGTH_MAX = 64
NAME_LENGTH_MAX = 64
IPV4_BITS_SHOWN, IPV6_BITS_SHOWN = 16, 48
# So many sign-ins tell who somebody is; the oldest of more tell nothing new.
PAST_MAX = 30


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in comes from, as it is kept: of address and device only a mask, a name and keyed digests."""

    client_id: str
    grant_type: str
    device_name: str = ""
    device_digest: str = ""
    address_masked: str = ""
    address_digest: str = ""
    place: Place | None = None

    @classmethod
    def of(
        cls,
        *,
        client_id: str | None,
        grant_type: str,
        device_name: str | None,
        device_id: str | None,
        address: str,
        place: Place | None,
        sealer: Sealer,
    ) -> Self:
        """`device_id` is what a device keeps for itself; where it keeps nothing its name stands for it."""
        client_id, name = _shown(client_id), _shown(device_name)
        return cls(
            client_id=client_id,
            grant_type=_shown(grant_type),
            device_name=name,
            device_digest=sealer.digest(f"device:{client_id}:{device_id or name}"),
            address_masked=masked(address),
            address_digest=sealer.digest(f"address:{address}"),
            place=place,
        )

    @property
    def kept(self) -> dict[str, Any]:
        """Return what `kept_before` makes an origin of again."""
        return asdict(self)

    @classmethod
    def kept_before(cls, kept: dict[str, Any]) -> Self:
        place = kept["place"]
        return cls(**{**kept, "place": Place(**place) if place else None})


def masked(address: str) -> str:
    """Return the network that an address is of, as people may see it; nothing for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    bits = IPV4_BITS_SHOWN if isinstance(parsed, ipaddress.IPv4Address) else IPV6_BITS_SHOWN
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


def _shown(text: str | None) -> str:
    cut = (text or "")[:NAME_LENGTH_MAX]
    return cut if cut.isprintable() else ""


@transactional
async def write(
    *,
    kind: SignInKind,
    origin: Origin,
    now: datetime,
    owner_id: UUID | None = None,
    reason: str = "",
    signals: Collection[SignInSignal] = (),
    session_id: UUID | None = None,
) -> None:
    """Add one line; inside a transaction it stands or falls with that."""
    place = origin.place
    await SignInRecord.create(
        id=new_id(),
        occurred_at=now,
        kind=kind,
        reason=reason,
        signals=sorted(signals),
        owner_id=owner_id,
        session_id=session_id,
        client_id=origin.client_id,
        grant_type=origin.grant_type,
        device_name=origin.device_name,
        device_digest=origin.device_digest,
        address_masked=origin.address_masked,
        address_digest=origin.address_digest,
        latitude_centi=place.latitude_centi if place else None,
        longitude_centi=place.longitude_centi if place else None,
        city=place.city if place else "",
    )


async def past_of(owner_id: UUID) -> list[Past]:
    """Return the latest sign-ins of somebody that were let in, newest first."""
    rows = (
        await SignInRecord.filter(owner_id=owner_id, kind=SignInKind.SIGNED_IN)
        .order_by("-id")
        .limit(PAST_MAX)
        .values_list("occurred_at", "device_digest", "latitude_centi", "longitude_centi")
    )
    return [
        Past(at, device, Place(latitude, longitude) if latitude is not None and longitude is not None else None)
        for at, device, latitude, longitude in rows
    ]


@transactional
async def purge(*, before: datetime, limit: int) -> int:
    """Forget up to `limit` lines from before the moment, and return how many they were.

    The database itself refuses that for what is younger than 180 days, whatever the moment is.
    """
    ids = (
        await SignInRecord.filter(occurred_at__lt=before)
        .order_by("occurred_at")
        .limit(limit)
        .values_list("id", flat=True)
    )
    return await SignInRecord.filter(id__in=list(ids)).delete() if ids else 0
