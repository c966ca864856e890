"""Whose bucket a request is charged to, and of which budgets a mutation takes."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from domain.identity.viewer import Viewer

# Budgets of one mutation are looked at together, so that their keys must lie in one slot of a cluster.
SLOT = "{moves}"
# Each request takes of a bucket twice, and an id takes a while to be written.
KEYS_KEPT_MAX = 4_096


class Budget(StrEnum):
    """What a mutation takes one piece of, of the viewer's, the device's and the card's each."""

    MONEY = "MONEY"
    CONTACT = "CONTACT"
    VOICE = "VOICE"


class Subject(StrEnum):
    USER = "USER"
    DEVICE = "DEVICE"
    CARD = "CARD"


def client_key(viewer: Viewer | None, address: str) -> str:
    """Return the key of a client's bucket: the app and its user; the address where nobody is signed in."""
    return _key_of(viewer.client_id, viewer.user_id) if viewer else f"cost:address:{address}"


@lru_cache(maxsize=KEYS_KEPT_MAX)
def _key_of(client_id: str, user_id: UUID) -> str:
    return f"cost:{client_id}:{user_id}"


def subjects(viewer: Viewer | None, address: str, card_id: UUID | None) -> dict[Subject, str]:
    """Return who is counted; an address in the place of a user where nobody is signed in.

    The device is its session, or the car; a token of neither, such as a partner's, is the client's.
    """
    if viewer is None:
        return {Subject.USER: f"address:{address}"}
    device = viewer.session_id or viewer.vehicle_id or f"{viewer.client_id}:{viewer.user_id}"
    found = {Subject.USER: f"user:{viewer.user_id}", Subject.DEVICE: f"device:{device}"}
    if card_id:
        found[Subject.CARD] = f"card:{card_id}"
    return found


def budget_key(budget: Budget, subject: str) -> str:
    return f"{SLOT}:{budget}:{subject}"
