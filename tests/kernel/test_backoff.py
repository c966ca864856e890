"""Delays grow, stay under their maximum, and begin again."""

from __future__ import annotations

from kernel.backoff import Backoff


def test_delays_double_up_to_the_maximum_and_begin_again() -> None:
    backoff = Backoff(first_s=0.1, maximum_s=1.0)
    for expected_s in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert expected_s / 2 <= backoff.next_delay_s() <= expected_s
    backoff.reset()
    assert backoff.next_delay_s() <= 0.1


def test_waiters_do_not_come_back_together() -> None:
    assert len({Backoff().next_delay_s() for _ in range(50)}) > 40
