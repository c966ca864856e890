"""`python -m jobs pay-abnormal-refund`: have a channel pay elsewhere what could not go back the way it came."""

from __future__ import annotations

import argparse
import getpass
import sys

from domain.orders.abnormal_refunds import pay_abnormal_refund
from domain.payments.ports import AbnormalRefundTo, BankAccount, UnknownChannel
from gateways.assembly import third_parties
from gateways.key_source import ThirdPartySettingsWrong
from jobs.commands import on_database
from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.settings import get_settings

DONE, REFUSED = 0, 2
DESTINATIONS = {"user-bank-card": AbnormalRefundTo.USER_BANK_CARD, "merchant": AbnormalRefundTo.MERCHANT_BANK_CARD}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command; its code is 2 where nothing was done because of what was asked."""
    command = commands.add_parser(
        "pay-abnormal-refund",
        help="pay an abnormal refund to the user's bank card or to the merchant",
        description="A card's number and holder are asked for, or read as two lines, and are never arguments. "
        "What goes to the merchant still has to be paid to the customer by hand.",
    )
    command.add_argument("refund", metavar="OUT_REFUND_NO", help="the number that manual-queue shows")
    command.add_argument("--to", choices=DESTINATIONS, required=True)
    command.add_argument("--bank-type", metavar="CODE", help="the channel's word for the card's bank: ICBC_DEBIT")
    command.add_argument("--by", metavar="NAME", required=True, help="who has proposed this")
    command.add_argument("--second", metavar="NAME", required=True, help="who, somebody else, has approved it")
    command.add_argument("--reason", metavar="TEXT", required=True, help="why")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    account = None
    if DESTINATIONS[given.to] is AbnormalRefundTo.USER_BANK_CARD:
        account = BankAccount(given.bank_type or "", _secret("card number: "), _secret("card holder: "))
        if not (account.bank_type and account.number and account.holder):
            print("youka: a card takes --bank-type, its number and its holder", file=sys.stderr)
            return REFUSED
    return on_database(lambda: pay(given, account))


def _secret(prompt: str) -> str:
    """Ask without showing what is typed; from a pipe, read a line."""
    return (getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline()).strip()


async def pay(given: argparse.Namespace, account: BankAccount | None) -> int:
    """Do it in the open database, tell what became of it, and return the exit code."""
    try:
        async with third_parties(get_settings()) as parties:
            accepted = await pay_abnormal_refund(
                out_refund_no=given.refund,
                destination=DESTINATIONS[given.to],
                account=account,
                proposed_by=given.by,
                approved_by=given.second,
                reason=given.reason,
                channels=parties.channels,
                now=utc_now(),
            )
    except YoukaError as error:
        print(f"youka: {error.message('en')}", file=sys.stderr)
        return REFUSED
    except (ThirdPartySettingsWrong, UnknownChannel) as error:
        print(f"youka: {error}", file=sys.stderr)
        return REFUSED
    print(f"{given.refund} {'is being paid' if accepted else 'may be paid; the channel has not answered and is asked'}")
    return DONE
