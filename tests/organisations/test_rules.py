"""The table of rights, the check character, limits, and the guide that is made from them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.organisations import rules
from domain.organisations.rules import (
    CODE_CHARACTERS,
    LIMIT_MAX_FEN,
    CreditCodeInvalid,
    MemberLimitExceeded,
    MemberLimitInvalid,
    MemberLimits,
    OrganisationNameInvalid,
    Spent,
    Standing,
    check_character,
    check_limits,
    check_recharge,
    read_credit_code,
    read_name,
    rooms,
)
from kernel.clock import next_business_day, next_business_month, start_of_business_month
from kernel.money import Money
from kernel.organisation_states import LimitPeriod, OrganisationPermission, OrganisationRole, OrganisationState
from schema.types.organisation_enums import PERMISSIONS
from tests.organisations.support import ACCOUNTANT, ADMIN, DRIVER, OWNER

GUIDE = Path(__file__).parents[2] / "docs" / "organisations.md"
# As their owners have published them.
REAL = [
    "91330100716105852F", "9144030071526726XG", "914403001922038216", "91110000802100433B", "91110108551385082Q",
    "911100007109250324",
]  # fmt: skip
NOON = datetime(2026, 11, 29, 4, tzinfo=UTC)


class TestTable:
    def test_every_role_has_its_rights(self) -> None:
        table = rules.PERMISSIONS
        assert table.keys() == set(OrganisationRole)
        assert table[OWNER] == set(OrganisationPermission)
        assert table[OWNER] - table[ADMIN] == {OrganisationPermission.MANAGE_ORGANISATION}
        assert not {each for each in table[ACCOUNTANT] if not each.value.startswith("SEE_")}
        assert table[DRIVER] == {OrganisationPermission.RECHARGE, OrganisationPermission.SEE_OWN_ORDERS}

    def test_nobody_reaches_who_has_more(self) -> None:
        reached = {(one, other) for one in OrganisationRole for other in OrganisationRole if rules.reaches(one, other)}
        assert {other for one, other in reached if one is OWNER} == set(OrganisationRole)
        assert {other for one, other in reached if one is ADMIN} == {ADMIN, ACCOUNTANT, DRIVER}
        assert (DRIVER, ACCOUNTANT) not in reached
        assert (ACCOUNTANT, DRIVER) not in reached

    def test_the_guide_has_this_table(self) -> None:
        roles = list(OrganisationRole)
        expected = ["| permission | " + " | ".join(roles) + " | what it allows |"]
        for permission in OrganisationPermission:
            marks = ["yes" if rules.may(role, permission) else "–" for role in roles]
            expected.append(f"| `{permission}` | {' | '.join(marks)} | {PERMISSIONS[permission]} |")
        lines = GUIDE.read_text(encoding="utf-8").splitlines()
        begins = lines.index(expected[0])
        assert [lines[begins], *lines[begins + 2 : begins + 2 + len(OrganisationPermission)]] == expected

    def test_a_suspended_organisation_recharges_nothing(self) -> None:
        assert Standing(DRIVER, OrganisationState.ACTIVE, all_cards=True).recharges
        assert not Standing(OWNER, OrganisationState.SUSPENDED, all_cards=True).recharges
        assert not Standing(ACCOUNTANT, OrganisationState.ACTIVE, all_cards=True).recharges


class TestCreditCode:
    @pytest.mark.parametrize("code", REAL)
    def test_real_ones_are_right(self, code: str) -> None:
        assert read_credit_code(code) == code
        assert read_credit_code(f" {code[:6]}-{code[6:].lower()} ") == code

    @given(st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=9, max_size=9), st.data())
    def test_one_wrong_character_is_found(self, body: str, data: st.DataObject) -> None:
        start = f"91310000{body}"
        code = start + check_character(start)
        assert read_credit_code(code) == code
        place = data.draw(st.integers(0, 17))
        other = data.draw(st.sampled_from(CODE_CHARACTERS).filter(lambda each: each != code[place]))
        with pytest.raises(CreditCodeInvalid):
            read_credit_code(code[:place] + other + code[place + 1 :])

    @pytest.mark.parametrize(
        "text", ["", "9" * 18, REAL[0][:17], REAL[0] + "0", "9" * 10_000, REAL[0].replace("1", "I"), "９" + REAL[0][1:]]
    )
    def test_what_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(CreditCodeInvalid):
            read_credit_code(text)


class TestName:
    def test_it_is_trimmed(self) -> None:
        assert read_name(" 顺达 运输 ") == "顺达 运输"

    @pytest.mark.parametrize("text", ["", "  ", "a" * 65, "a\nb", "a\u202eb", "a\x00"])
    def test_what_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(OrganisationNameInvalid):
            read_name(text)


class TestLimits:
    @pytest.mark.parametrize("fen", [0, -1, LIMIT_MAX_FEN + 1])
    def test_a_limit_is_an_amount(self, fen: int) -> None:
        for limits in (MemberLimits(recharge_fen=fen), MemberLimits(daily_fen=fen), MemberLimits(monthly_fen=fen)):
            with pytest.raises(MemberLimitInvalid):
                check_limits(limits)
        check_limits(MemberLimits())
        check_limits(MemberLimits(1, LIMIT_MAX_FEN, 1))

    @pytest.mark.parametrize(
        ("limits", "period", "limit", "left", "renews_at"),
        [
            (MemberLimits(recharge_fen=999), LimitPeriod.RECHARGE, 999, 999, None),
            (MemberLimits(daily_fen=5_999), LimitPeriod.DAY, 5_999, 999, datetime(2026, 11, 29, 16, tzinfo=UTC)),
            (MemberLimits(daily_fen=4_000), LimitPeriod.DAY, 4_000, 0, datetime(2026, 11, 29, 16, tzinfo=UTC)),
            (MemberLimits(monthly_fen=9_999), LimitPeriod.MONTH, 9_999, 999, datetime(2026, 11, 30, 16, tzinfo=UTC)),
        ],
    )
    def test_what_does_not_fit_is_told_with_what_is_left(
        self, limits: MemberLimits, period: LimitPeriod, limit: int, left: int, renews_at: datetime | None
    ) -> None:
        spent = Spent(today_fen=5_000, month_fen=9_000)
        with pytest.raises(MemberLimitExceeded) as refused:
            check_recharge(Money(1_000), limits, spent, NOON)
        told = refused.value.values
        assert (told["period"], told["limit"].fen, told["left"].fen) == (period, limit, left)
        assert told["renews_at"] == renews_at
        (room,) = rooms(limits, spent, NOON)
        assert room.left.fen == left
        if left:
            check_recharge(Money(left), limits, spent, NOON)

    def test_without_a_limit_everything_fits(self) -> None:
        check_recharge(Money(LIMIT_MAX_FEN), MemberLimits(), Spent(10**12, 10**12), NOON)

    @pytest.mark.parametrize(
        ("moment", "month", "next_day", "next_month"),
        [
            ("2026-11-30T15:59:59+00:00", "2026-10-31T16", "2026-11-30T16", "2026-11-30T16"),
            ("2026-11-30T16:00:00+00:00", "2026-11-30T16", "2026-12-01T16", "2026-12-31T16"),
            ("2028-02-28T16:00:00+00:00", "2028-01-31T16", "2028-02-29T16", "2028-02-29T16"),
        ],
    )
    def test_days_and_months_are_those_of_china(self, moment: str, month: str, next_day: str, next_month: str) -> None:
        now = datetime.fromisoformat(moment)
        found = (start_of_business_month(now), next_business_day(now), next_business_month(now))
        assert found == tuple(datetime.fromisoformat(f"{each}:00:00+00:00") for each in (month, next_day, next_month))
