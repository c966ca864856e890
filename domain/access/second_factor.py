"""The second factor of an approval: a code of the approver's own authenticator, spent with what it signs.

Reading a code is counted as a try at once; that it is spent commits or rolls back with the approval, so a code that was
given for something that is refused is still good, and one that has signed something is worth nothing ever after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.access import attempts, totp
from domain.access.policy import Attempts
from domain.identity.staff import Staff
from kernel.errors import YoukaError
from kernel.sealing import Sealer
from models.access import StaffCredential


class SecondFactorRefused(YoukaError):
    """Wrong, used before, or of somebody who has none."""

    code = "SECOND_FACTOR_REFUSED"
    messages = {"zh-CN": "动态码有误或已使用", "en": "The code is wrong, or was used before"}


@dataclass(frozen=True, slots=True)
class Signature:
    """A member of staff, and the time step of the code by which they have proved it."""

    staff: Staff
    step: int


async def sign(*, staff: Staff, code: str, sealer: Sealer, limit: Attempts, now: datetime) -> Signature:
    """Return the signature that a code is good for. Raises SecondFactorRefused, or TooManyAttempts."""
    attempt = await attempts.begin(subject=f"second-factor:{staff.id}", limit=limit, now=now)
    credential = await StaffCredential.get_or_none(staff_id=staff.id)
    if credential is None:
        raise SecondFactorRefused
    secret = sealer.open(bytes(credential.totp_sealed), owner=f"totp:{staff.id}")
    step = totp.matching_step(secret, code, after=credential.totp_step, now=now)
    if step is None:
        raise SecondFactorRefused
    await attempts.succeeded(attempt)
    return Signature(staff, step)


async def spend(signature: Signature) -> None:
    """Use the code up, in the transaction of what it signs. Raises SecondFactorRefused where somebody was faster."""
    unused = StaffCredential.filter(staff_id=signature.staff.id, totp_step__lt=signature.step)
    if await unused.update(totp_step=signature.step) != 1:
        raise SecondFactorRefused
