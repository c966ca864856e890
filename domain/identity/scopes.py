"""Scopes: what a token was given for. Which fields take which is said in the schema, by `@requiresScopes`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from domain.identity.viewer import Viewer
from kernel.errors import YoukaError


class Scope(StrEnum):
    PROFILE = "profile"
    CARDS = "cards"
    RECHARGE = "recharge"
    RECHARGE_VOICE = "recharge:voice"
    WEBHOOKS = "webhooks"
    STAFF = "staff"


DESCRIPTIONS = {
    Scope.PROFILE: "See and change who the user is: name, phone, devices, messages and organisations.",
    Scope.CARDS: "See and bind the user's cards.",
    Scope.RECHARGE: "Order and pay recharges, fill the wallet, see orders, and let a car in.",
    Scope.RECHARGE_VOICE: "Recharge by voice, and hear what becomes of it. Cars have this and nothing else.",
    Scope.WEBHOOKS: "Register webhooks, and follow recharges by them or by a socket.",
    Scope.STAFF: "Work in the back office. What somebody may do there follows from their roles.",
}


class ScopeMissing(YoukaError):
    """The token is good, but was not given for this; `scope` is what to ask for."""

    code = "FORBIDDEN"
    messages = {
        "zh-CN": "没有权限: 令牌缺少{scope}范围",
        "en": "You may not do this: the token lacks the scope {scope}",
    }


def suffices(viewer: Viewer, alternatives: Iterable[Iterable[str]]) -> bool:
    """Say whether the token has every scope of one of the alternatives."""
    return any(map(viewer.scopes.issuperset, alternatives))


def require(*, viewer: Viewer, alternatives: Sequence[Sequence[str]]) -> None:
    """Raises ScopeMissing, which names the first of the alternatives."""
    if not suffices(viewer, alternatives):
        raise ScopeMissing(scope=" ".join(alternatives[0]))
