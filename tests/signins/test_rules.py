"""What is unusual about a sign-in, by somebody's own past, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.signins.records import masked
from domain.signins.rules import Asking, Past, Place, Unusual, Verdict, signals_of, verdict
from kernel.access_states import SignInSignal

NOW = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)  # noon in China
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SHANGHAI, SUZHOU, BEIJING = Place(3123, 12147, "上海"), Place(3130, 12062), Place(3990, 11640)
UNUSUAL = Unusual(far_km=100, speed_max_km_per_h=1_000)
NEW, FAR, ODD, FAILED = (
    SignInSignal.NEW_DEVICE,
    SignInSignal.FAR_PLACE,
    SignInSignal.ODD_HOUR,
    SignInSignal.RECENT_FAILURES,
)


def past(ago: timedelta, device: str = "phone", place: Place | None = None) -> Past:
    return Past(NOW - ago, device, place)


def found(
    *before: Past, device: str = "phone", place: Place | None = None, failures: int = 0, vouched: bool = False
) -> set[SignInSignal]:
    return set(signals_of(Asking(NOW, device, place, failures, vouched), before, UNUSUAL))


def test_nothing_is_unusual_the_first_time() -> None:
    assert found(place=BEIJING) == set()


def test_a_new_device_is_one_that_never_came() -> None:
    assert found(past(DAY)) == set()
    assert found(past(DAY), past(2 * DAY, "tablet"), device="tablet") == set()
    assert found(past(DAY), device="tablet") == {NEW}
    assert found(past(DAY), device="tablet", vouched=True) == set()


@pytest.mark.parametrize(
    ("ago", "place", "far"),
    [
        (HOUR, BEIJING, True),
        (2 * HOUR, BEIJING, False),
        (timedelta(0), BEIJING, True),
        (timedelta(0), SUZHOU, False),
        (HOUR, SHANGHAI, False),
        (HOUR, None, False),
    ],
)
def test_far_is_where_nobody_can_have_come_from(ago: timedelta, place: Place | None, far: bool) -> None:
    assert (FAR in found(past(ago, place=SHANGHAI), place=place)) is far


def test_the_last_known_place_counts() -> None:
    assert FAR not in found(past(HOUR), past(30 * HOUR, place=SHANGHAI), place=BEIJING)
    assert FAR in found(past(2 * DAY, place=BEIJING), past(HOUR, place=SHANGHAI), place=BEIJING)


def test_an_odd_hour_takes_a_history() -> None:
    at_night = [past(day * DAY + 11 * HOUR) for day in range(1, 12)]
    assert found(*at_night[:9]) == set()
    assert found(*at_night) == {ODD}
    # Two hours before or behind what is known is near enough, over midnight too.
    assert found(*at_night, past(DAY + 2 * HOUR)) == set()
    assert found(*at_night, past(DAY + 3 * HOUR)) == {ODD}


def test_failures_are_noted_from_the_third() -> None:
    assert found(failures=2) == set()
    assert found(failures=3) == {FAILED}


@pytest.mark.parametrize(
    ("signals", "with_phone", "without"),
    [
        (set(), Verdict.ALLOW, Verdict.ALLOW),
        ({ODD}, Verdict.ALLOW, Verdict.ALLOW),
        ({NEW}, Verdict.CHALLENGE, Verdict.ALLOW),
        ({FAILED}, Verdict.CHALLENGE, Verdict.ALLOW),
        ({NEW, ODD}, Verdict.CHALLENGE, Verdict.ALLOW),
        ({FAR}, Verdict.CHALLENGE, Verdict.REFUSE),
        ({NEW, FAILED}, Verdict.CHALLENGE, Verdict.REFUSE),
        ({FAR, ODD}, Verdict.CHALLENGE, Verdict.REFUSE),
        ({FAR, NEW}, Verdict.REFUSE, Verdict.REFUSE),
        ({FAR, FAILED}, Verdict.REFUSE, Verdict.REFUSE),
        ({NEW, FAR, ODD, FAILED}, Verdict.REFUSE, Verdict.REFUSE),
    ],
)
def test_what_follows(signals: set[SignInSignal], with_phone: Verdict, without: Verdict) -> None:
    assert verdict(signals, can_challenge=True) is with_phone
    assert verdict(signals, can_challenge=False) is without


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("31.23,121.47", Place(3123, 12147)),
        ("31.2304, 121.4737, 上海市", Place(3123, 12147, "上海市")),
        ("-31.2,-0.1", Place(-3120, -10)),
        ("91,0", None),
        ("31.23", None),
        ("nan,nan", None),
        ("1e3,2", None),
        ("31.23,121.47,a\x1bb", Place(3123, 12147)),
        ("31.23,121.47," + "长" * 200, None),
        ("", None),
        (None, None),
    ],
)
def test_places_are_read_or_are_none(text: str | None, place: Place | None) -> None:
    assert Place.read(text) == place


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("203.0.113.7", "203.0.0.0/16"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_an_address_is_shown_by_its_network(address: str, shown: str) -> None:
    assert masked(address) == shown
