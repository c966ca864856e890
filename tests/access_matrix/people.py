"""Who asks: nobody, a stranger, who belongs to the owner's organisation or did, the owner, programs of the owner, and
everybody who works here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from domain.identity import staff
from domain.identity.scopes import Scope
from domain.identity.staff import STAFF_CLIENT_ID
from domain.identity.tokens import authority
from kernel.clock import utc_now
from kernel.settings import Settings
from kernel.states import StaffRole
from tests.access_matrix.belongings import Belongings
from tests.access_matrix.questions import Question
from tests.factories import create_staff, create_viewer

CUSTOMER = frozenset(Scope) - {Scope.STAFF}


@dataclass(frozen=True)
class Person:
    """Who asks, and what they may be expected to see."""

    name: str
    token: str | None = None
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    is_owner: bool = False
    # Whether they are a driver of the owner's organisation.
    belongs: bool = False
    # Whether what they are allowed to do is done, too, and not only what they are allowed to see.
    acts: bool = False

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def is_customer(self) -> bool:
        """Whether there is an account behind the token; to everybody else `viewer` is null."""
        return self.token is not None and "staff" not in self.scopes

    @property
    def refusal(self) -> str:
        return "FORBIDDEN" if self.token else "UNAUTHENTICATED"

    def may(self, question: Question) -> bool:
        required = question.requirement
        if required.kind == "public":
            return True
        if self.token is None:
            return False
        if required.kind == "requiresRole":
            return bool(required.roles & self.roles)
        return required.kind == "authenticated" or any(each <= self.scopes for each in required.scopes)


async def everybody(settings: Settings, owned: Belongings) -> AsyncIterator[Person]:
    """Give everybody, the owner last; who acts comes behind all who may not."""
    tokens, owner = authority(settings), owned.owner

    def token(user_id: UUID, scopes: frozenset[str], client_id: str = "tests") -> str:
        return tokens.issue(user_id=user_id, client_id=client_id, scopes=scopes, now=utc_now())

    yield Person("anonymous")
    stranger = await create_viewer()
    yield Person("stranger", token(stranger.user_id, CUSTOMER), CUSTOMER)
    removed, driver = owned.firm.removed.user_id, owned.firm.driver.user_id
    yield Person("removed member", token(removed, CUSTOMER), CUSTOMER)
    yield Person("member", token(driver, CUSTOMER), CUSTOMER, belongs=True)
    # A token has a scope at least, or it is none.
    nothing = frozenset({"nothing"})
    yield Person("partner without a scope", token(owner.user_id, nothing), nothing, is_owner=True)
    for scope in sorted(CUSTOMER):
        alone = frozenset({scope.value})
        client_id = "car" if scope is Scope.RECHARGE_VOICE else "tests"
        yield Person(f"owner's {client_id} with {scope}", token(owner.user_id, alone, client_id), alone, is_owner=True)
    back_office = frozenset({Scope.STAFF.value})
    leaver = await create_staff(*StaffRole)
    await staff.leave(name=leaver.name, now=utc_now())
    yield Person("leaver", token(leaver.id, back_office, STAFF_CLIENT_ID), back_office)
    for role in StaffRole:
        member = await create_staff(role)
        name, issued = f"staff {role}", token(member.id, back_office, STAFF_CLIENT_ID)
        yield Person(name, issued, back_office, frozenset({role.value}), acts=True)
    yield Person("owner", token(owner.user_id, CUSTOMER), CUSTOMER, is_owner=True, acts=True)
