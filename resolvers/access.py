"""Devices of the viewer, and keys of partners."""

from __future__ import annotations

from uuid import UUID

from domain.access import clients, devices, sessions
from domain.access.policy import Policy
from domain.signins.records import Origin
from resolvers.payloads import payload
from schema.types.access import (
    DeviceInput,
    DeviceRequest,
    DeviceSuccess,
    EndAllSessionsInput,
    EndAllSessionsSuccess,
    EndSessionInput,
    EndSessionSuccess,
    RotateClientKeyInput,
    RotateClientKeySuccess,
    Session,
    UserCode,
)
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.payloads import DevicePayload, EndAllSessionsPayload, EndSessionPayload, RotateClientKeyPayload
from schema.types.refusals import refusals
from schema.types.relay import key_of


async def device(info: Info, user_code: UserCode) -> DeviceRequest:
    context = info.context
    with refusals(info):
        waiting = await devices.look(
            viewer=context.signed_in, user_code=user_code, policy=_policy(info), now=context.now
        )
    return DeviceRequest.of(waiting)


@payload
async def approve_device(info: Info, input: Given[DeviceInput]) -> DevicePayload:
    context = info.context
    waiting = await devices.approve(
        viewer=context.signed_in, user_code=input.user_code, policy=_policy(info), now=context.now
    )
    return DeviceSuccess(device=DeviceRequest.of(waiting))


@payload
async def deny_device(info: Info, input: Given[DeviceInput]) -> DevicePayload:
    context = info.context
    waiting = await devices.deny(
        viewer=context.signed_in, user_code=input.user_code, policy=_policy(info), now=context.now
    )
    return DeviceSuccess(device=DeviceRequest.of(waiting))


async def session_by_key(info: Info, key: UUID) -> Session | None:
    row = await sessions.owned(viewer=info.context.signed_in, session_id=key, now=info.context.now)
    return Session.of(row, info) if row else None


@payload
async def end_session(info: Info, input: Given[EndSessionInput]) -> EndSessionPayload:
    context = info.context
    row = await sessions.end(
        viewer=context.signed_in,
        session_id=key_of(input.session_id, "Session"),
        tokens=context.services.tokens,
        now=context.now,
        origin=_origin(info),
    )
    return EndSessionSuccess(session=Session.of(row, info))


@payload
async def end_all_sessions(info: Info, input: Given[EndAllSessionsInput]) -> EndAllSessionsPayload:
    context = info.context
    ended = await sessions.end_all(
        viewer=context.signed_in,
        keep_current=input.keep_current,
        tokens=context.services.tokens,
        now=context.now,
        origin=_origin(info),
    )
    return EndAllSessionsSuccess(ended_count=ended)


@payload
async def rotate_client_key(info: Info, input: Given[RotateClientKeyInput]) -> RotateClientKeyPayload:
    context = info.context
    rotated = await clients.rotate_own_key(
        viewer=context.signed_in, public_key=input.public_key, policy=_policy(info), now=context.now
    )
    return RotateClientKeySuccess.of(rotated)


def _origin(info: Info) -> Origin:
    """Return where a sign-out comes from, for the audit."""
    context = info.context
    return Origin.of(
        client_id=context.signed_in.client_id,
        grant_type="",
        device_name=None,
        device_id=None,
        address=context.address,
        place=None,
        sealer=context.services.sealer,
    )


def _policy(info: Info) -> Policy:
    return Policy.of(info.context.services.settings)
