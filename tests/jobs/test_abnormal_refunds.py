"""The command that has an abnormal refund paid elsewhere: what it takes, and what it never shows."""

from __future__ import annotations

import argparse
import io
import sys
from typing import Any

import pytest

from domain.payments.ports import AbnormalRefundTo, BankAccount
from jobs import abnormal_refunds, commands
from kernel.settings import Settings
from tests.sandbox_fixtures import Sandbox

CARD = "6222021234567890123"
ARGUMENTS = ["pay-abnormal-refund", "R1", "--by", "li.na", "--second", "wang.wei", "--reason", "closed card"]
TO_CARD = [*ARGUMENTS, "--to", "user-bank-card", "--bank-type", "ICBC_DEBIT"]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    abnormal_refunds.add_commands(parser.add_subparsers())
    parsed = parser.parse_args(arguments)
    return int(parsed.run(parsed))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, database_url: str, sandbox: Sandbox) -> list[dict[str, Any]]:
    """What the domain was asked for; the database and the third parties are real."""
    wishes: list[dict[str, Any]] = []

    async def keep(**wish: Any) -> bool:
        wishes.append(wish)
        return True

    settings: Settings = sandbox.settings(database_url=database_url)
    for module in (commands, abnormal_refunds):
        monkeypatch.setattr(module, "get_settings", lambda: settings)
    monkeypatch.setattr(abnormal_refunds, "pay_abnormal_refund", keep)
    return wishes


def test_a_card_is_read_and_not_shown(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{CARD}\n张三\n"))
    assert run(*TO_CARD) == 0
    (wish,) = asked
    assert wish["account"] == BankAccount("ICBC_DEBIT", CARD, "张三")
    assert (wish["out_refund_no"], wish["destination"]) == ("R1", AbnormalRefundTo.USER_BANK_CARD)
    assert (wish["proposed_by"], wish["approved_by"], wish["reason"]) == ("li.na", "wang.wei", "closed card")
    shown = capsys.readouterr()
    assert "R1 is being paid" in shown.out
    assert CARD not in shown.out + shown.err
    assert "张三" not in shown.out + shown.err


def test_to_the_merchant_no_card_is_asked_for(asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run(*ARGUMENTS, "--to", "merchant") == 0
    assert asked[0]["account"] is None


@pytest.mark.parametrize(
    ("typed", "arguments"), [("", TO_CARD), (f"{CARD}\n", TO_CARD), (f"{CARD}\n张三\n", [*TO_CARD, "--bank-type", ""])]
)
def test_a_card_that_is_not_whole_is_refused(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, typed: str, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert run(*arguments) == 2
    assert asked == []


def test_an_unknown_refund_is_refused(
    monkeypatch: pytest.MonkeyPatch, database_url: str, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = sandbox.settings(database_url=database_url)
    for module in (commands, abnormal_refunds):
        monkeypatch.setattr(module, "get_settings", lambda: settings)
    assert run(*ARGUMENTS, "--to", "merchant") == 2
    assert "There is no abnormal refund R1" in capsys.readouterr().err
