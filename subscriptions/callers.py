"""Heads of requests that were read before: clients repeat them letter by letter, but for the length of what they ask.

What a head says is therefore worked out once. It is known by all of its letters, the token among them, and only where
the HTTP parser has read it before and all of the request came at once. What depends on time, such as whether the token
still holds, is asked each time.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple, Protocol

from domain.identity.viewer import Viewer
from kernel.errors import Locale
from kernel.exact import Shared
from subscriptions.heads import Head

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ?(\d{1,9})(?=\r\n)")
# What decides where a body ends, or what is to happen before it is sent, is left to the parser.
LEFT_TO_PARSER = frozenset({b"expect", b"transfer-encoding", b"upgrade"})


class Caller:
    """What the head of a POST to `/graphql` says, whatever its body and whichever connection it came by.

    Who is `signed` says who they are, by a `token` unless what they say is none. `address` is the client's where our
    own proxy names it, else the peer's counts. `head` is there where the request comes from a page, whose origin has to
    be looked at for each viewer; `more` are the lines of headers that such a page is answered with.
    """

    __slots__ = ("address", "head", "locale", "media_type", "more", "request_id", "signed", "token")

    def __init__(
        self,
        *,
        signed: bool,
        token: str | None,
        locale: Locale,
        media_type: str,
        address: str | None,
        request_id: str | None,
        head: Head | None,
        more: bytes,
    ) -> None:
        self.signed, self.token, self.locale, self.media_type = signed, token, locale, media_type
        self.address, self.request_id, self.head, self.more = address, request_id, head, more


class Asker(Protocol):
    """Who asks, and when: what an answer that is kept may depend on, and whom it is charged to."""

    @property
    def viewer(self) -> Viewer | None: ...
    @property
    def locale(self) -> Locale: ...
    @property
    def address(self) -> str: ...
    @property
    def now(self) -> datetime: ...


class Asking(NamedTuple):
    """An asker for one moment."""

    viewer: Viewer | None
    locale: Locale
    address: str
    now: datetime


class Found(NamedTuple):
    caller: Caller
    body: bytes


class _Known(NamedTuple):
    """A head that was read: its letters are those before the token, the caller's token, and those after it."""

    caller: Caller
    before: bytes
    after: bytes

    def has(self, letters: bytes) -> bool:
        return letters == self.before + (self.caller.token or "").encode() + self.after


class Callers:
    """Up to `kept_max` heads, those that were used last; none is larger than `size_max_bytes`.

    Those of one kind of client differ in their tokens, which are kept with who is known by them. Of the rest there is
    one copy for all of them, and what is found by the hash of all letters is compared with all of them.
    """

    def __init__(self, *, kept_max: int, size_max_bytes: int, body_size_max_bytes: int) -> None:
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._parts = Shared()
        self._kept_max, self._size_max_bytes, self._body_size_max = kept_max, size_max_bytes, body_size_max_bytes

    def __len__(self) -> int:
        return len(self._known)

    def find(self, data: bytes) -> Found | None:
        """Return who asks what, where the data is one whole request with a head that is known."""
        found = _letters_of(data, self._body_size_max)
        if found is None:
            return None
        letters, begins = found
        key = hash(letters)
        known = self._known.get(key)
        if known is None or not known.has(letters):
            return None
        self._known.move_to_end(key)
        return Found(known.caller, data[begins:])

    def keep(self, data: bytes, caller: Caller) -> None:
        """Know the head of this whole request from now on."""
        found = _letters_of(data, self._body_size_max)
        if found is None or found[1] > self._size_max_bytes or not self._kept_max:
            return
        letters = found[0]
        # Without a token, all letters are before it.
        before, _, after = letters.partition(caller.token.encode()) if caller.token else (letters, b"", b"")
        known = _Known(caller, self._parts.copy_of(before), self._parts.copy_of(after))
        if not known.has(letters):
            # The caller was not made of this head.
            return
        self._known[hash(letters)] = known
        if len(self._known) > self._kept_max:
            self._known.popitem(last=False)


def _letters_of(data: bytes, body_size_max: int) -> tuple[bytes, int] | None:
    """Return the head of one whole request without the length of its body, and where the body begins."""
    end = data.find(HEAD_END)
    if end < 0:
        return None
    length = LENGTH.search(data, 0, end + 2)
    begins = end + len(HEAD_END)
    if length is None or not int(length[1]) == len(data) - begins <= body_size_max:
        return None
    start, stop = length.span(1)
    return data[:start] + data[stop:end], begins


def may_be_known(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request with these headers may be answered without the parser the next time.

    One that has an id of its own never comes again.
    """
    return not any(name in LEFT_TO_PARSER or name == b"x-request-id" for name, _ in headers)
