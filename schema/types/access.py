"""The devices on which the viewer is signed in, the ones that wait for an approval, and the keys of partners."""

from __future__ import annotations

from typing import Annotated, Self

import strawberry

from domain.access.clients import Rotated
from domain.access.devices import Waiting
from domain.access.rules import shown
from models.access import OAuthSession
from schema.types import costs
from schema.types.context import Info
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime

UserCode = Annotated[
    str, strawberry.argument(description="What the device shows, such as `WDJB-MJHT`; hyphen and case do not matter.")
]


@strawberry.type(description="A device on which the viewer is signed in.")
class Session(Node):
    device_name: str = strawberry.field(description="How the device calls itself.")
    vehicle_id: str | None = strawberry.field(description="The vehicle that it is bound to, where it is a car.")
    scopes: list[str] = strawberry.field(directives=[costs.at_most(20)], description="What it may do.")
    created_at: DateTime = strawberry.field(description="When it was signed in.")
    last_seen_at: DateTime = strawberry.field(description="When it last asked for a token.")
    expires_at: DateTime = strawberry.field(description="When it is signed out at the latest.")
    is_current: bool = strawberry.field(description="Whether this request comes from it.")
    client_id: strawberry.Private[str]

    @strawberry.field(directives=[costs.READ], description="The program that is signed in, for people.")
    async def client_name(self, info: Info) -> str:
        return await info.context.loaders.client_names.load(self.client_id)

    @classmethod
    def of(cls, row: OAuthSession, info: Info) -> Self:
        return cls(
            id=global_id("Session", row.id),
            device_name=row.device_name,
            vehicle_id=row.vehicle_id,
            scopes=row.scopes,
            created_at=DateTime(row.created_at),
            last_seen_at=DateTime(row.last_seen_at),
            expires_at=DateTime(row.expires_at),
            is_current=row.id == info.context.signed_in.session_id,
            client_id=row.client_id,
        )


SessionConnection = Connection[Session]


@strawberry.type(description="A device that waits for somebody to approve it.")
class DeviceRequest:
    user_code: str = strawberry.field(description="The code that it shows.")
    client_name: str = strawberry.field(description="The program on it, for people.")
    device_name: str = strawberry.field(description="How it calls itself.")
    vehicle_id: str = strawberry.field(description="The vehicle that it will be bound to.")
    scopes: list[str] = strawberry.field(directives=[costs.at_most(20)], description="What it will be allowed to do.")
    expires_at: DateTime = strawberry.field(description="Until when it waits.")

    @classmethod
    def of(cls, waiting: Waiting) -> Self:
        row = waiting.row
        return cls(
            user_code=shown(row.user_code),
            client_name=waiting.client_name,
            device_name=row.device_name,
            vehicle_id=row.vehicle_id,
            scopes=row.scopes,
            expires_at=DateTime(row.expires_at),
        )


@strawberry.input(description="Which device to sign out.")
class EndSessionInput:
    session_id: strawberry.ID = strawberry.field(description="The session's id.")


@strawberry.input(description="Which devices to sign out.")
class EndAllSessionsInput:
    keep_current: bool = strawberry.field(default=False, description="Whether this device stays signed in.")


@strawberry.type(description="The device is signed out; its tokens are refused from now on.")
class EndSessionSuccess:
    session: Session = strawberry.field(description="What it was.")


@strawberry.type(description="The devices are signed out; their tokens are refused from now on.")
class EndAllSessionsSuccess:
    ended_count: int = strawberry.field(description="How many they were.")


@strawberry.input(description="Which device is decided about.")
class DeviceInput:
    user_code: str = strawberry.field(description="What the device shows, such as `WDJB-MJHT`.")


@strawberry.type(description="The decision is made; an approved device has its token at its next request.")
class DeviceSuccess:
    device: DeviceRequest = strawberry.field(description="The device.")


@strawberry.input(description="A new key of a partner's client.")
class RotateClientKeyInput:
    public_key: str = strawberry.field(
        description="The public key as the text of a JWK: P-256, or RSA of 2048 to 8192 bits. Never the private one."
    )


@strawberry.type(description="The new key is taken from now on.")
class RotateClientKeySuccess:
    key_id: str = strawberry.field(description="Its thumbprint (RFC 7638), which may stand as `kid` in assertions.")
    previous_until: DateTime = strawberry.field(description="Until when keys before it are taken as well.")

    @classmethod
    def of(cls, rotated: Rotated) -> Self:
        return cls(key_id=rotated.kid, previous_until=DateTime(rotated.previous_until))
