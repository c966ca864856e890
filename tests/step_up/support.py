"""Third parties of a second proof that do what a test says, and the steps that tests of it share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from domain.identity import phones
from domain.identity.phone_numbers import read_phone
from domain.identity.ports import FaceFacts, FaceOutcome, FaceSession, Phone
from domain.identity.viewer import Viewer
from domain.step_up import operations
from domain.step_up.operations import Grant, Started
from domain.step_up.policy import StepUpPolicy
from domain.step_up.rules import Content
from kernel.clock import utc_now
from kernel.settings import Settings
from tests.factories import SEALER

PHONE = "13987654321"
POLICY = StepUpPolicy.of(Settings(sms_interval_s=0))


class Sender:
    """Keeps the codes that it was to send."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    async def send_code(self, *, phone: Phone, code: str, lifetime: timedelta) -> None:
        assert phone.national == PHONE
        self.codes.append(code)


class Faces:
    """Answers what the test has decided of a face, with the subject that the session was begun for."""

    def __init__(self) -> None:
        self.subjects: dict[str, str] = {}
        self.outcome = FaceOutcome.PASSED

    async def begin(self, *, subject: str) -> FaceSession:
        token = f"face-{len(self.subjects)}-{subject[-16:]}"
        self.subjects[token] = subject
        return FaceSession(token, "https://face.example/")

    async def result(self, token: str) -> FaceFacts:
        return FaceFacts(token, self.outcome, self.subjects.get(token, ""))


class Proofs:
    """A viewer with a phone, who gives second proofs."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer, self.sender, self.faces = viewer, Sender(), Faces()

    async def bind(self, number: str = PHONE) -> None:
        await phones.keep(user_id=self.viewer.user_id, phone=read_phone(number), sealer=SEALER, now=utc_now())

    async def start(self, content: Content, *, policy: StepUpPolicy = POLICY) -> Started:
        return await operations.start(
            viewer=self.viewer,
            content=content,
            address="1.2.3.4",
            sender=self.sender,
            face=self.faces,
            sealer=SEALER,
            policy=policy,
            now=utc_now(),
        )

    async def confirm(self, started: Started, **changes: Any) -> Grant:
        given: dict[str, Any] = {
            "viewer": self.viewer,
            "challenge_id": started.challenge_id,
            "code": self.sender.codes[-1],
            "face_token": started.face_token,
            "face": self.faces,
            "sealer": SEALER,
            "policy": POLICY,
            "now": utc_now(),
        }
        return await operations.confirm(**(given | changes))

    async def grant(self, content: Content) -> str:
        return (await self.confirm(await self.start(content))).text
