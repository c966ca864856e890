"""The keys by which WeChat Pay signs: platform certificates, which change, and platform public keys, which do not.

Sources: "平台证书简介", "下载平台证书", "平台证书更换指引", "微信支付公钥". A new certificate can be downloaded
days before it signs anything, and the one before it signs until it expires, so whoever asks often enough knows both in
time. Whoever did not asks when a serial number is seen for the first time.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate

from gateways.documents import Document, Malformed, child, moment_or_none, text
from gateways.signing import AEAD_ALGORITHM, KeyUnreadable, decrypt, load_public_key
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.tasks import cancel_and_wait, spawn

PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
CERTIFICATE_SERIAL = re.compile(r"[0-9A-Fa-f]{1,64}")
CERTIFICATES_MAX = 32
DOWNLOAD_INTERVAL_S = 1.0
UNKNOWN_KEPT_S = 60.0
UNKNOWN_KEPT_MAX = 1_024
WAITING_MAX = 256
RETRY_INTERVAL_S = 60.0

log = get_logger(__name__)


class KeysUnavailable(Exception):
    """Whether there is such a key cannot be found out now; nothing is said of what it is said to have signed."""


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """One key of the platform. A public key has no dates: it holds until somebody replaces it."""

    serial: str
    key: RSAPublicKey
    valid_from: datetime | None = None
    expires_at: datetime | None = None

    @property
    def is_certificate(self) -> bool:
        return not self.serial.startswith(PUBLIC_KEY_PREFIX)

    def holds(self, now: datetime) -> bool:
        return (self.valid_from is None or self.valid_from <= now) and not self.has_expired(now)

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at


Download = Callable[[], Awaitable[Sequence[PlatformKey]]]


def read_given_key(serial: str, pem: bytes) -> PlatformKey:
    """Read a key that somebody has put on the disk: a public key, or a certificate with its dates.

    Raises KeyUnreadable, also where the file is the certificate of another serial number.
    """
    key = load_public_key(pem)
    if b"BEGIN CERTIFICATE" not in pem:
        return PlatformKey(serial, key)
    certificate = load_pem_x509_certificate(pem)
    if not _names(serial, certificate.serial_number):
        raise KeyUnreadable("the certificate of another serial number")
    return PlatformKey(serial, key, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def read_certificates(document: Document, *, api_v3_key: bytes) -> list[PlatformKey]:
    """Read the answer of "下载平台证书". Raises Malformed, or NotDecryptable where another APIv3 key has sealed it."""
    entries = document.get("data")
    if not isinstance(entries, list) or len(entries) > CERTIFICATES_MAX:
        raise Malformed("data is not a list of certificates")
    return [_read_certificate(entry, api_v3_key) for entry in entries]


def _read_certificate(entry: object, api_v3_key: bytes) -> PlatformKey:
    if not isinstance(entry, dict):
        raise Malformed("a certificate is not an object")
    serial, sealed = text(entry, "serial_no"), child(entry, "encrypt_certificate")
    if text(sealed, "algorithm") != AEAD_ALGORITHM:
        raise Malformed("an unknown algorithm")
    pem = decrypt(
        api_v3_key,
        text(sealed, "ciphertext"),
        nonce=text(sealed, "nonce").encode(),
        associated_data=text(sealed, "associated_data").encode(),
    )
    try:
        known = read_given_key(serial, pem)
    except KeyUnreadable as error:
        raise Malformed(f"a certificate is {error}") from None
    effective, expires = moment_or_none(entry, "effective_time"), moment_or_none(entry, "expire_time")
    # The list may shorten what the certificate says, never prolong it.
    starts = [moment for moment in (known.valid_from, effective) if moment]
    ends = [moment for moment in (known.expires_at, expires) if moment]
    if not (starts and ends):
        raise Malformed("a certificate has no dates")
    return PlatformKey(serial, known.key, max(starts), min(ends))


def _names(serial: str, number: int) -> bool:
    return CERTIFICATE_SERIAL.fullmatch(serial) is not None and int(serial, 16) == number


class Keyring:
    """Finds keys by their serial number. One download runs at a time, and one begins in `download_interval_s` at most.

    Who asks for a serial number that nobody knows waits for a download that begins after the question. A forger who
    invents serial numbers thereby causes one download in a second, and holds at most WAITING_MAX callers.
    """

    def __init__(
        self,
        *,
        download: Download,
        given: Iterable[PlatformKey] = (),
        download_interval_s: float = DOWNLOAD_INTERVAL_S,
        unknown_kept_s: float = UNKNOWN_KEPT_S,
    ) -> None:
        self._download = download
        self._keys = {key.serial: key for key in given}
        self._interval_s, self._unknown_kept_s = download_interval_s, unknown_kept_s
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._next: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._began_at = float("-inf")
        self._waiting = 0

    @property
    def requested_serial(self) -> str | None:
        """The public key by which answers are asked for (`Wechatpay-Serial`), where there is one."""
        return next((key.serial for key in self._keys.values() if not key.is_certificate), None)

    async def find(self, serial: str, *, now: datetime) -> RSAPublicKey | None:
        """Return the key, or None where the platform has no valid one of this number. Raises KeysUnavailable."""
        known = self._keys.get(serial)
        if known is not None:
            return known.key if known.holds(now) else None
        if not CERTIFICATE_SERIAL.fullmatch(serial) or self._is_unknown(serial):
            return None
        await self._ask()
        known = self._keys.get(serial)
        if known is None:
            self._remember_unknown(serial)
            return None
        return known.key if known.holds(now) else None

    async def for_encryption(self, *, now: datetime) -> PlatformKey:
        """Return the key for what only the platform may read: the public key, or the newest certificate.

        Raises KeysUnavailable.
        """
        if not self._keys:
            await self._ask()
        valid = [key for key in self._keys.values() if key.holds(now)]
        if not valid:
            raise KeysUnavailable("there is no valid key")
        earliest = datetime.min.replace(tzinfo=UTC)
        return max(valid, key=lambda key: (not key.is_certificate, key.valid_from or earliest))

    async def refresh(self) -> None:
        """Take over the platform's certificates as they are now. Raises KeysUnavailable."""
        await self._ask()

    def known(self, serial: str, *, now: datetime) -> RSAPublicKey | None:
        """Return a key that is here already."""
        known = self._keys.get(serial)
        return known.key if known is not None and known.holds(now) else None

    async def close(self) -> None:
        """End what is under way."""
        await cancel_and_wait(*(task for task in (self._running, self._next) if task is not None))

    async def keep_fresh(self, *, interval_s: float) -> None:
        """Refresh for ever; what fails is tried again sooner."""
        pause_s = interval_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self.refresh()
            except KeysUnavailable:
                pause_s = min(interval_s, RETRY_INTERVAL_S)
            else:
                pause_s = interval_s

    def _is_unknown(self, serial: str) -> bool:
        until = self._unknown.get(serial)
        if until is None:
            return False
        if time.monotonic() < until:
            return True
        del self._unknown[serial]
        return False

    def _remember_unknown(self, serial: str) -> None:
        self._unknown[serial] = time.monotonic() + self._unknown_kept_s
        self._unknown.move_to_end(serial)
        while len(self._unknown) > UNKNOWN_KEPT_MAX:
            self._unknown.popitem(last=False)

    async def _ask(self) -> None:
        """Wait for the next download that has not begun yet, together with everybody who asks before it does."""
        if self._waiting >= WAITING_MAX:
            raise KeysUnavailable("too many ask at once")
        if self._next is None:
            self._next = spawn(self._run_next(self._running), name="platform certificates")
            # Its error is everybody's who waits; where nobody does any more, the log has it.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._waiting += 1
        try:
            # Whoever gives up waiting does not take the download from the others.
            await asyncio.shield(self._next)
        finally:
            self._waiting -= 1

    async def _run_next(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        await asyncio.sleep(max(0.0, self._began_at + self._interval_s - time.monotonic()))
        self._running, self._next = self._next, None
        self._began_at = time.monotonic()
        downloaded = await self._download()
        now = utc_now()
        kept = {serial: key for serial, key in self._keys.items() if not key.has_expired(now)}
        self._keys = {**kept, **{key.serial: key for key in downloaded if not key.has_expired(now)}}
        for key in downloaded:
            self._unknown.pop(key.serial, None)
        log.info("wechat_pay.certificates", serials=sorted(self._keys))
