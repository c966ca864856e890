"""Private keys in a security module, which signs and never gives them away (PKCS #11).

Source: OASIS PKCS #11 Cryptographic Token Interface Current Mechanisms Specification 2.40, section 2.1
(CKM_SHA256_RSA_PKCS). The module may hang, forget its sessions or be taken out. A call ends by its timeout, threads and
sessions are bounded, and what has failed is tried once more with a new session. A refused PIN is never sent again,
since a token locks itself after a few.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11 import exceptions as failed
from pkcs11.types import SignMixin

from gateways.pkcs11_library import LibraryUnusable, library
from gateways.signing import RSA_KEY_SIZE_MIN_BITS, ModuleFailed
from kernel.logs import get_logger

TRIES = 2
BITS_PER_BYTE = 8
PROBE = b"youka"
PIN_REFUSED = (failed.PinIncorrect, failed.PinInvalid, failed.PinLenRange, failed.PinExpired, failed.PinLocked)
# The setting to look at, and what is wrong with it.
PROBLEMS: tuple[tuple[type[Exception], str, str], ...] = (
    (failed.PinLocked, "pkcs11_pin", "is locked at the token"),
    (failed.PinExpired, "pkcs11_pin", "has expired at the token"),
    (failed.NoSuchToken, "pkcs11_token_label", "names no token that is there"),
    (failed.TokenNotPresent, "pkcs11_token_label", "names no token that is there"),
    (failed.DeviceRemoved, "pkcs11_token_label", "names no token that is there"),
    (failed.MultipleTokensReturned, "pkcs11_token_label", "names several tokens"),
    (failed.NoSuchKey, "", "names no private RSA key of the token"),
    (failed.MultipleObjectsReturned, "", "names several private keys of the token"),
)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """The token that holds the keys, in the library at `module_path`."""

    module_path: str
    label: str
    pin: str = field(repr=False)


@dataclass(slots=True)
class _Session:
    generation: int
    opened: pkcs11.Session
    keys: dict[str, SignMixin] = field(default_factory=dict)

    def key(self, label: str) -> SignMixin:
        if label not in self.keys:
            wanted = {
                Attribute.CLASS: ObjectClass.PRIVATE_KEY,
                Attribute.KEY_TYPE: KeyType.RSA,
                Attribute.LABEL: label,
            }
            # The search is read to its end: one that is left open blocks its session.
            found = list(self.opened.get_objects(wanted))
            if len(found) != 1:
                raise failed.MultipleObjectsReturned if found else failed.NoSuchKey
            if not isinstance(found[0], SignMixin):
                raise ModuleFailed("", "names a key that may not sign")
            self.keys[label] = found[0]
        return self.keys[label]

    def sign(self, label: str, message: bytes) -> bytes:
        return bytes(self.key(label).sign(message, mechanism=Mechanism.SHA256_RSA_PKCS))


class SecurityModule:
    """The sessions of one token. It belongs to the event loop that signs first."""

    def __init__(self, token: Token, *, sessions_max: int, timeout_s: float) -> None:
        self._token, self._timeout_s = token, timeout_s
        self._library, self._entered, self._pin_refused = library(token.module_path), False, False
        self._places = asyncio.Semaphore(sessions_max)
        self._idle: list[_Session] = []
        self._opening = Lock()

    def signer(self, label: str) -> ModuleSigner:
        return ModuleSigner(self, label)

    async def sign(self, label: str, message: bytes) -> bytes:
        """Raises ModuleFailed."""
        signature: bytes = await self._call(lambda: self._with_session(lambda session: session.sign(label, message)))
        return signature

    async def prove(self, label: str) -> None:
        """Sign something, and see that the key is long enough. Raises ModuleFailed."""

        def work(session: _Session) -> int:
            session.sign(label, PROBE)
            return len(session.key(label)[Attribute.MODULUS]) * BITS_PER_BYTE

        if await self._call(lambda: self._with_session(work)) < RSA_KEY_SIZE_MIN_BITS:
            raise ModuleFailed("", f"names an RSA key of less than {RSA_KEY_SIZE_MIN_BITS} bits")

    async def close(self) -> None:
        with suppress(ModuleFailed):
            await self._call(self._close)

    async def _call(self, work: Callable[[], Any]) -> Any:
        """Run in a thread. One that hangs keeps its place, so there are never more of them than places."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._places.acquire()
                done = _in_thread(work)
                done.add_done_callback(self._release(asyncio.get_running_loop()))
                return await asyncio.wrap_future(done)
        except TimeoutError:
            raise ModuleFailed("pkcs11_token_label", f"names a token that is silent for {self._timeout_s} s") from None

    def _release(self, loop: asyncio.AbstractEventLoop) -> Callable[[Future[Any]], None]:
        def release(_done: Future[Any]) -> None:
            # A thread that hung may come back when the loop is gone.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._places.release)

        return release

    def _with_session(self, work: Callable[[_Session], Any]) -> Any:
        problem: Exception | None = None
        for _ in range(TRIES):
            with self._in_library() as generation:
                try:
                    return self._try(work, generation)
                except failed.PKCS11Error as error:
                    problem = error
            if isinstance(problem, PIN_REFUSED):
                break
            self._library.renew(generation)
        assert problem is not None
        raise _told(problem) from None

    def _in_library(self) -> Any:
        with self._opening:
            if self._pin_refused:
                raise ModuleFailed("pkcs11_pin", "was refused by the token, and is not tried again before a restart")
            if not self._entered:
                try:
                    self._library.enter()
                except LibraryUnusable as error:
                    raise ModuleFailed("pkcs11_module_path", f"names no usable library: {error}") from None
                self._entered = True
        return self._library.in_use()

    def _try(self, work: Callable[[_Session], Any], generation: int) -> Any:
        session = self._take(generation)
        try:
            result = work(session)
        except BaseException:
            with suppress(failed.PKCS11Error):
                session.opened.close()
            raise
        self._idle.append(session)
        return result

    def _take(self, generation: int) -> _Session:
        with self._opening:
            while self._idle:
                session = self._idle.pop()
                # The handles of an earlier generation may belong to somebody else by now.
                if session.generation == generation:
                    return session
            try:
                return _Session(generation, self._library.open_session(self._token.label, self._token.pin))
            except PIN_REFUSED:
                self._pin_refused = True
                raise

    def _close(self) -> None:
        with self._opening:
            sessions, self._idle = self._idle, []
            entered, self._entered = self._entered, False
        if not entered:
            return
        for session in sessions:
            if session.generation == self._library.generation:
                with suppress(failed.PKCS11Error):
                    session.opened.close()
        self._library.leave()


@dataclass(frozen=True, slots=True)
class ModuleSigner:
    """Implements `gateways.signing.Signer` with the key that has this label."""

    module: SecurityModule
    label: str

    async def sign(self, message: bytes) -> bytes:
        try:
            return await self.module.sign(self.label, message)
        except ModuleFailed as error:
            log.error("security_module.failed", key=self.label, setting=error.setting, problem=error.problem)
            raise


def _told(problem: Exception) -> ModuleFailed:
    for kind, setting, words in PROBLEMS:
        if isinstance(problem, kind):
            return ModuleFailed(setting, words)
    if isinstance(problem, PIN_REFUSED):
        return ModuleFailed("pkcs11_pin", "is refused by the token")
    return ModuleFailed("pkcs11_token_label", f"names a token that fails: {type(problem).__name__}")


def _in_thread(work: Callable[[], Any]) -> Future[Any]:
    """Run in a thread that does not keep the process from ending, as those of a pool would where the module hangs."""
    done: Future[Any] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, name="security module", daemon=True).start()
    return done
