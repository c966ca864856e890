"""The face verification service, and the platform that names its users."""

from __future__ import annotations

from dataclasses import dataclass

from domain.identity.ports import FaceFacts, FaceOutcome, FaceSession, FaceUnavailable
from tests.simulation.network import Network

PARTY = "face"


@dataclass
class Session:
    subject: str
    outcome: FaceOutcome = FaceOutcome.PENDING


def _unavailable(_why: str) -> FaceUnavailable:
    return FaceUnavailable()


class SimulatedFace:
    """Implements `FaceVerifier`; whoever stands before the camera changes the outcome of a session."""

    def __init__(self, network: Network) -> None:
        self.sessions: dict[str, Session] = {}
        self._network = network

    async def begin(self, *, subject: str) -> FaceSession:
        return await self._network.ask(PARTY, "begin", lambda: self._begin(subject), lost=_unavailable)

    async def result(self, token: str) -> FaceFacts:
        return await self._network.ask(PARTY, "result", lambda: self._result(token), lost=_unavailable)

    def _begin(self, subject: str) -> FaceSession:
        token = f"face-{len(self.sessions) + 1}"
        self.sessions[token] = Session(subject)
        return FaceSession(token, f"https://face.example/{token}")

    def _result(self, token: str) -> FaceFacts:
        session = self.sessions.get(token)
        if session is None:
            return FaceFacts(token, FaceOutcome.FAILED, "")
        return FaceFacts(token, session.outcome, session.subject)


class SimulatedLogin:
    """Implements `MiniProgramLogin`: a code is the openid that it stands for."""

    async def openid_of(self, code: str) -> str:
        return code
