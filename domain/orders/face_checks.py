"""Face verification of whoever pays a large order: begun by the server, asked of the service, used once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.identity.ports import FaceOutcome, FaceVerifier
from domain.identity.viewer import Viewer
from domain.orders import queries
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import FaceCheckState, ReviewState
from models.orders import RechargeOrder
from models.reviews import FaceCheck

TOKEN_LENGTH_MAX = 128


class FaceCheckNotNeeded(YoukaError):
    code = "FACE_CHECK_NOT_NEEDED"
    messages = {"zh-CN": "该订单无需人脸核身", "en": "The order needs no face verification"}


class FaceTokenMissing(YoukaError):
    code = "FACE_TOKEN_MISSING"
    messages = {"zh-CN": "请先完成人脸核身", "en": "Complete the face verification first"}


class FaceTokenInvalid(YoukaError):
    """Also where the token is somebody else's, another order's, or was used."""

    code = "FACE_TOKEN_INVALID"
    messages = {
        "zh-CN": "人脸核身无效或已过期，请重新核身",
        "en": "The face verification is not valid, please repeat it",
    }


class FaceNotFinished(YoukaError):
    code = "FACE_NOT_FINISHED"
    messages = {"zh-CN": "人脸核身尚未完成", "en": "The face verification is not finished yet"}


class FaceCheckFailed(YoukaError):
    code = "FACE_CHECK_FAILED"
    messages = {"zh-CN": "人脸核身未通过", "en": "The face verification was not passed"}


@dataclass(frozen=True, slots=True)
class StartedFaceCheck:
    token: str
    url: str
    expires_at: datetime


def subject_of(order: RechargeOrder) -> str:
    """Return what a result must carry: the person and the one thing that they agree to."""
    return f"{order.user_id}:pay:{order.id}"


async def begin(
    *, viewer: Viewer, order_id: UUID | None, face: FaceVerifier, lifetime: timedelta, now: datetime
) -> StartedFaceCheck:
    """Begin a verification for an order that needs one before it can be paid.

    Raises OrderNotFound, FaceCheckNotNeeded or FaceUnavailable.
    """
    order = await queries.require_owned(viewer=viewer, order_id=order_id)
    if order.review_state is not ReviewState.REQUIRED or order.state not in queries.UNPAID:
        raise FaceCheckNotNeeded
    session = await face.begin(subject=subject_of(order))
    check = await FaceCheck.create(
        id=new_id(),
        order_id=order.id,
        user_id=order.user_id,
        token=session.token,
        state=FaceCheckState.OPEN,
        expires_at=now + lifetime,
        created_at=now,
    )
    return StartedFaceCheck(session.token, session.url, check.expires_at)


async def verify(*, order: RechargeOrder, token: str | None, face: FaceVerifier, now: datetime) -> None:
    """Ask the service how the verification of an order ended; never call this inside a transaction.

    Raises FaceTokenMissing, FaceTokenInvalid, FaceNotFinished, FaceCheckFailed or FaceUnavailable.
    """
    if not token:
        raise FaceTokenMissing
    check = await _check_of(order, token)
    if check is None or check.state is FaceCheckState.USED or now >= check.expires_at:
        raise FaceTokenInvalid
    state = check.state
    if state is FaceCheckState.OPEN:
        facts = await face.result(check.token)
        if facts.outcome is FaceOutcome.PENDING:
            raise FaceNotFinished
        passed = facts.outcome is FaceOutcome.PASSED and facts.subject == subject_of(order)
        state = FaceCheckState.PASSED if passed else FaceCheckState.FAILED
        await FaceCheck.filter(id=check.id, state=FaceCheckState.OPEN).update(state=state, settled_at=now)
    if state is not FaceCheckState.PASSED:
        raise FaceCheckFailed


async def use(*, order: RechargeOrder, token: str | None, now: datetime) -> None:
    """Spend a passed verification in the transaction that starts the payment. Raises FaceTokenInvalid."""
    passed = FaceCheck.filter(order_id=order.id, token=token or "", state=FaceCheckState.PASSED, expires_at__gt=now)
    if await passed.update(state=FaceCheckState.USED) != 1:
        raise FaceTokenInvalid


async def _check_of(order: RechargeOrder, token: str) -> FaceCheck | None:
    if len(token) > TOKEN_LENGTH_MAX:
        return None
    return await FaceCheck.get_or_none(order_id=order.id, user_id=order.user_id, token=token)
