"""The library of a security module in this process: loaded once, used by threads, and begun anew when it fails.

Source: OASIS PKCS #11 Cryptographic Token Interface Base Specification 2.40, sections 5.4 (C_Initialize,
C_Finalize) and 5.6 (sessions and login). All sessions of a process share one login, and
the library itself, so both are kept here.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Condition

import pkcs11
from pkcs11.exceptions import PKCS11Error, UserAlreadyLoggedIn

CKR_OK = 0
CKF_OS_LOCKING_OK = 2
# One that begins anew waits so long for calls that are under way, and does it no more often than this.
RENEW_PATIENCE_S = 0.5
RENEW_INTERVAL_S = 1.0


class _InitializeArguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS: no functions of ours for mutexes, and leave to use those of the operating system."""

    _fields_ = (
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


class LibraryUnusable(Exception):
    """The file is not there, is no such library, or does not let several threads use it."""


class Library:
    """One library, for all who use it in this process. What it does can block; it belongs into threads."""

    def __init__(self, path: str) -> None:
        self.path, self.generation = path, 0
        self._users, self._inside, self._renewed_at_s = 0, 0, 0.0
        self._changed = Condition()
        self._logins: dict[str, pkcs11.Session] = {}

    def enter(self) -> None:
        """Load it for the first user. Raises LibraryUnusable."""
        with self._changed:
            if self._users == 0:
                self._initialize()
            self._users += 1

    def leave(self) -> None:
        with self._changed:
            self._users -= 1
            # Finalising under a call that hangs is undefined; the process is about to end anyway.
            if self._users == 0 and self._inside == 0:
                self._finalize()

    @contextmanager
    def in_use(self) -> Iterator[int]:
        """Keep it from being begun anew meanwhile, and tell its generation."""
        with self._changed:
            self._inside += 1
            generation = self.generation
        try:
            yield generation
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def open_session(self, label: str, pin: str) -> pkcs11.Session:
        """Open a session on the token with this label, logged in. Raises PKCS11Error."""
        with self._changed:
            token = pkcs11.lib(self.path).get_token(token_label=label)
            if label not in self._logins:
                # Closing a session that was opened with a PIN logs all of them out, so one is kept for that alone.
                with suppress(UserAlreadyLoggedIn):
                    self._logins[label] = token.open(user_pin=pin)
            return token.open()

    def renew(self, generation: int) -> None:
        """Begin anew, if nobody has done so since that generation: no session and no login survives."""
        with self._changed:
            if generation != self.generation or time.monotonic() - self._renewed_at_s < RENEW_INTERVAL_S:
                return
            if not self._changed.wait_for(lambda: self._inside == 0, RENEW_PATIENCE_S):
                return
            if generation == self.generation:
                self._renewed_at_s = time.monotonic()
                # Whoever comes next finds out that it is still unusable.
                with suppress(LibraryUnusable):
                    self._initialize()

    def _initialize(self) -> None:
        self.generation += 1
        self._logins.clear()
        try:
            pkcs11.lib(self.path)
        except PKCS11Error as error:
            raise LibraryUnusable(str(error) or type(error).__name__) from None
        # python-pkcs11 initialises for a single thread, so it is done over: with the locks of the operating system.
        raw = self._finalize()
        arguments = _InitializeArguments(flags=CKF_OS_LOCKING_OK)
        outcome = raw.C_Initialize(ctypes.byref(arguments))
        if outcome != CKR_OK:
            raise LibraryUnusable(f"C_Initialize answers 0x{outcome:08x}")

    def _finalize(self) -> ctypes.CDLL:
        raw = ctypes.CDLL(self.path)
        raw.C_Initialize.restype = ctypes.c_ulong
        raw.C_Finalize(None)
        return raw


_libraries: dict[str, Library] = {}


def library(path: str) -> Library:
    """Return this process's library of that path."""
    return _libraries.setdefault(path, Library(path))
