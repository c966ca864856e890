"""Every fault that the sandbox knows is walked by a test; one without a test fails here.

Where a fault bears on an order, the test walks the whole order: how it ends, what the user is told, and the books.
"""

from __future__ import annotations

import ast
from functools import cache

import pytest

from sandbox.faults import MODES, OF_MERCHANTS, OK
from tests.sandbox import test_faults_of_channels as channels
from tests.sandbox import test_faults_of_issuers as issuers
from tests.sandbox_fixtures import ROOT

HERE = "tests/sandbox/"
ISSUERS, CHANNELS = f"{HERE}test_faults_of_issuers.py", f"{HERE}test_faults_of_channels.py"

# The tables that the scenarios here are made of, and the test that takes its cases from each.
TABLES: dict[str, list[tuple[str, str]]] = {
    f"{CHANNELS}::test_a_door_that_is_closed_is_said_to_be_and_opens_again": channels.CLOSED_DOORS,
    f"{CHANNELS}::test_what_nobody_tells_of_is_asked_for": channels.UNTOLD,
    f"{CHANNELS}::test_what_cannot_be_asked_is_neither_paid_nor_failed": channels.BLIND,
    f"{CHANNELS}::test_a_close_that_is_not_answered_cancels_nothing_yet": channels.CLOSING,
    f"{CHANNELS}::test_a_notice_by_another_hand_moves_nothing": channels.FALSE_NOTICES,
    f"{CHANNELS}::test_a_refund_without_an_answer_is_on_its_way_and_goes_once": channels.SLOW_REFUNDS,
    f"{CHANNELS}::test_a_refund_that_takes_long_is_on_its_way_until_it_is_there": channels.PENDING_REFUNDS,
    f"{CHANNELS}::test_a_refund_that_does_not_arrive_is_not_said_to_have": channels.LOST_REFUNDS,
    f"{CHANNELS}::test_late_and_repeated_words_change_nothing": channels.TOLD_TWICE,
    f"{CHANNELS}::test_what_no_certificate_vouches_for_is_neither_paid_nor_failed": channels.CERTIFICATES,
    f"{ISSUERS}::test_an_order_ends_as_the_issuer_says": [(subject, mode) for subject, mode, _ in issuers.ENDS],
    f"{ISSUERS}::test_what_is_unknown_is_under_way": issuers.UNKNOWN,
    f"{ISSUERS}::test_what_is_stuck_waits_for_the_issuers_word": issuers.STUCK,
    f"{ISSUERS}::test_a_second_end_goes_to_a_person_and_moves_nothing": issuers.TWO_ENDS,
    f"{ISSUERS}::test_a_bill_that_is_wrong_is_refused_or_differs": issuers.BILLS,
}

_RECONCILED = "tests/reconciliation/test_end_to_end.py"
_ALIPAY_BILLS = "tests/gateways/test_alipay_bills.py"
_BANK = "tests/gateways/test_bank_conformance.py"
_BILLS = "tests/gateways/test_wechat_pay_bills.py::TestOfTheSandbox"
_CALLS = "tests/gateways/test_wechat_open_calls.py"
_FACE = "tests/gateways/test_tencent_face.py::TestOnTheSandbox"
_LBS = "tests/gateways/test_tencent_lbs.py::TestOnTheSandbox"
_MANDATES = "tests/mandates/test_deductions.py::TestPaying"
_PRICES = "tests/pricing/test_syncing.py"

# Faults that are walked elsewhere, by the test and the modes that are words of it.
ELSEWHERE: list[tuple[str, str, set[str]]] = [
    ("contract", f"{_MANDATES}::test_a_lost_answer_is_pending_and_nothing_is_deducted_twice", {"timeout"}),
    ("contract", f"{_MANDATES}::test_a_failed_deduction_leaves_the_order_to_its_user", {"fail"}),
    ("contract", f"{_MANDATES}::test_a_refusal_is_told_at_once", {"refuse"}),
    ("contract", f"{_MANDATES}::test_what_is_under_way_can_neither_be_cancelled_nor_paid_otherwise", {"stuck"}),
    ("contract", f"{_MANDATES}::test_what_nobody_tells_of_or_takes_on_is_asked_for", {"no_callback", "error_500"}),
    ("bill", f"{_BILLS}::test_one_that_is_not_made_yet", {"not_ready"}),
    ("bill", f"{_BILLS}::test_a_failed_download_leaves_nothing", {"altered", "error_500"}),
    ("bill", f"{_BILLS}::test_one_that_contradicts_itself_is_not_read_to_its_end", {"cut_off", "sums"}),
    ("bill", f"{_BILLS}::test_what_is_false_and_adds_up_is_for_the_reconciliation", {"omit", "extra", "drift"}),
    ("bill", f"{_RECONCILED}::test_a_bill_that_cannot_be_used_is_refused_whole_and_asked_for_again", {"other_day"}),
    ("alipay_bill", f"{_ALIPAY_BILLS}::test_what_is_not_whole_leaves_nothing", {"cut", "unready", "error_500"}),
    (
        "alipay_bill",
        f"{_ALIPAY_BILLS}::test_omissions_extras_and_drift_are_there_to_be_found",
        {"omit", "extra", "drift"},
    ),
    ("face", f"{_FACE}::test_unavailable", {"error_500", "rate_limit"}),
    ("face", "tests/schema/test_degraded.py::test_face_verification", {"timeout"}),
    (
        "sms",
        "tests/identity/test_codes.py::TestOnTheSandbox::test_unavailable_and_sent_once_at_most",
        {"timeout", "error_500", "limit"},
    ),
    (
        "lbs",
        "tests/schema/test_places.py::test_a_dead_map_is_estimated_and_says_so",
        {"timeout", "error_500", "quota", "garbage"},
    ),
    ("lbs", f"{_LBS}::test_unavailable", {"quota_per_second"}),
    ("bank", f"{_BANK}::subject", {"pending", "refuse"}),
    ("bank", f"{_BANK}::TestTheGateway::test_an_answer_that_is_lost_is_asked_for", {"timeout", "error_500_after"}),
    ("bank", f"{_BANK}::TestTheGateway::test_what_failed_before_is_not_known", {"error_500"}),
    (
        "bank",
        f"{_BANK}::TestTheGateway::test_no_answer_of_the_bank_settles_nothing",
        {"down", "forged", "old_answer"},
    ),
    (
        "price_platform",
        f"{_PRICES}::TestThePlatform::test_no_answer_of_the_platform",
        {"timeout", "error_500", "forged", "old_answer"},
    ),
    ("price_platform", f"{_PRICES}::TestThePlatform::test_garbage_that_is_signed", {"garbage"}),
    ("price_platform", f"{_PRICES}::TestSyncing::test_every_price_that_jumps_is_held", {"jump"}),
    ("price_platform", f"{_PRICES}::TestSyncing::test_a_version_that_drifts_is_refused", {"drift"}),
    (
        "wechat_open",
        f"{_CALLS}::TestPhones::test_a_platform_that_fails_spends_nothing",
        {"timeout", "error_500", "quota", "busy"},
    ),
    ("wechat_open", f"{_CALLS}::TestMessages::test_what_was_not_sent_may_be_tried_again", {"token_error_500"}),
    (
        "wechat_open",
        "tests/messages/test_worker.py::test_what_becomes_of_it",
        {"token_expired", "not_accepted", "send_then_timeout"},
    ),
]

EVERY = {(subject, mode) for subject, modes in MODES.items() for mode in modes if mode != OK}
OF_TABLES = {pair: test for test, pairs in TABLES.items() for pair in pairs}
OF_ELSEWHERE = {(subject, mode): test for subject, test, modes in ELSEWHERE for mode in modes}


@cache
def parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def find(test: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the function that a node's name leads to."""
    path, *names = test.split("::")
    found: ast.AST | None = parsed(path)
    for name in names:
        inside = getattr(found, "body", [])
        found = next((each for each in inside if getattr(each, "name", None) == name), None)
    return found if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) else None


def words(node: ast.AST) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_every_fault_is_walked_and_no_other() -> None:
    walked = OF_TABLES.keys() | OF_ELSEWHERE.keys()
    assert EVERY - walked == set(), "these faults have no test"
    assert walked - EVERY == set(), "the sandbox does not know these"
    assert OF_TABLES.keys() & OF_ELSEWHERE.keys() == set()


@pytest.mark.parametrize(("test", "pairs"), TABLES.items(), ids=lambda value: str(value).rpartition("::")[2][:40])
def test_a_scenario_takes_its_cases_from_its_table(test: str, pairs: list[tuple[str, str]]) -> None:
    function = find(test)
    assert function is not None, test
    module = channels if test.startswith(CHANNELS) else issuers
    # `ENDS` names the end as well, so that its pairs are another list.
    tables = {name for name, value in vars(module).items() if value is pairs}
    tables |= {"ENDS"} if module is issuers and pairs == [(each, mode) for each, mode, _ in issuers.ENDS] else set()
    taken = {
        each.id for decorator in function.decorator_list for each in ast.walk(decorator) if isinstance(each, ast.Name)
    }
    assert tables & taken
    assert pairs


@pytest.mark.parametrize(("test", "modes"), [(test, modes) for _, test, modes in ELSEWHERE])
def test_a_test_elsewhere_is_there_and_names_its_faults(test: str, modes: set[str]) -> None:
    function = find(test)
    assert function is not None, f"there is no {test}"
    assert modes <= words(function), test


def test_what_is_of_one_merchant_is_walked_as_well() -> None:
    for subject in OF_MERCHANTS:
        assert f"{subject}:" in words(parsed(f"{HERE}test_payment_faults.py"))
