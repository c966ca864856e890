"""Which zone a place lies in, and how a price is read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pricing.records import RecordRefused
from domain.pricing.rules import Region, Zone, ZoneMap, milliyuan_of, names_of

SHANGHAI, YUNNAN_1, YUNNAN_2, YUNNAN_3, INNER, QINGHAI = (UUID(int=number) for number in range(1, 7))


@pytest.fixture
def zones() -> ZoneMap:
    return ZoneMap(
        zones=[
            Zone(SHANGHAI, "310000", "上海市"),
            Zone(YUNNAN_1, "530000", "云南省"),
            Zone(YUNNAN_2, "530000", "云南省"),
            Zone(YUNNAN_3, "530000", "云南省"),
            Zone(INNER, "150000", "内蒙古自治区"),
            Zone(UUID(int=99), "150000", "内蒙古自治区"),
            Zone(QINGHAI, "630000", "青海省"),
            Zone(UUID(int=98), "630000", "青海省"),
        ],
        regions=[
            Region("云南", "530000", YUNNAN_1),
            Region("云南红河", "530000", YUNNAN_3),
            Region("云南红河河口", "530000", YUNNAN_2),
            Region("云南临沧云县", "530000", YUNNAN_2),
            Region("内蒙古兴安盟", "150000", INNER),
            Region("青海海南州", "630000", QINGHAI),
            Region("四川成都", "530000", YUNNAN_3),
        ],
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("上海市", ("上海市", "上海")),
        ("内蒙古自治区", ("内蒙古自治区", "内蒙古")),
        ("新疆维吾尔自治区", ("新疆维吾尔自治区", "新疆")),
        ("香港特别行政区", ("香港特别行政区", "香港")),
        ("红河哈尼族彝族自治州", ("红河哈尼族彝族自治州", "红河哈尼族彝族州", "红河哈尼族彝族", "红河州", "红河")),
        ("海南藏族自治州", ("海南藏族自治州", "海南藏族州", "海南藏族", "海南州", "海南")),
        ("伊犁哈萨克自治州", ("伊犁哈萨克自治州", "伊犁哈萨克州", "伊犁哈萨克", "伊犁州", "伊犁")),
        ("兴安盟", ("兴安盟", "兴安")),
        ("云县", ("云县",)),
        ("阿里地区", ("阿里地区", "阿里")),
        ("浦东新区", ("浦东新区", "浦东")),
        ("杭州", ("杭州",)),
        ("东乡族自治县", ("东乡族自治县", "东乡族县", "东乡族")),
        (" 昆明 市 ", ("昆明市", "昆明")),
        ("", ()),
    ],
)
def test_a_place_is_known_by_its_short_names_too(name: str, expected: tuple[str, ...]) -> None:
    assert names_of(name) == expected


@pytest.mark.parametrize(
    ("province", "city", "district", "zone"),
    [
        ("上海市", "上海市", "徐汇区", SHANGHAI),
        ("上海", "", "", SHANGHAI),
        ("云南省", "红河哈尼族彝族自治州", "河口瑶族自治县", YUNNAN_2),
        ("云南省", "红河哈尼族彝族自治州", "蒙自市", YUNNAN_3),
        ("云南省", "红河州", "", YUNNAN_3),
        ("云南", "临沧市", "云县", YUNNAN_2),
        ("云南省", "昆明市", "五华区", YUNNAN_1),
        ("内蒙古自治区", "兴安盟", "突泉县", INNER),
        ("内蒙古自治区", "呼和浩特市", "", None),
        ("青海省", "海南藏族自治州", "共和县", QINGHAI),
        ("云南省", "省直辖县级行政区划", "红河县", YUNNAN_3),
        ("云南省", "昆明市", "红河县", YUNNAN_1),
        ("四川省", "成都市", "", None),
        ("", "上海市", "", None),
    ],
)
def test_the_longest_listed_region_wins(
    zones: ZoneMap, province: str, city: str, district: str, zone: UUID | None
) -> None:
    assert zones.zone_of(province=province, city=city, district=district) == zone


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (Decimal("8.46"), 8460),
        (Decimal("8.4"), 8400),
        (Decimal("8.463"), 8463),
        (8, 8000),
        (Decimal("8.46" + "0" * 60), 8460),
        (Decimal("1E+1"), 10_000),
        (Decimal("0.001"), 1),
        (100, 100_000),
    ],
)
def test_a_price_is_read_exactly(price: Any, expected: int) -> None:
    assert milliyuan_of(price) == expected


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        (0, "over 0"),
        (Decimal("0.000"), "over 0"),
        (Decimal("-8.46"), "over 0"),
        (Decimal("100.001"), "at most 100"),
        (846, "at most 100"),
        (Decimal("1E+999999"), "at most 100"),
        (Decimal("1E-999999"), "thousandth"),
        (Decimal("8.4601"), "thousandth"),
        (Decimal("8.46" + "0" * 60 + "1"), "thousandth"),
        (Decimal("NaN"), "finite"),
        (Decimal("Infinity"), "finite"),
        ("8.46", "not a number"),
        (8.46, "not a number"),
        (True, "not a number"),
        (None, "not a number"),
    ],
)
def test_what_is_no_price_is_refused(price: Any, reason: str) -> None:
    with pytest.raises(RecordRefused) as refusal:
        milliyuan_of(price)
    assert reason in refusal.value.reason


@given(milliyuan=st.integers(1, 100_000), zeros=st.integers(0, 40))
def test_every_price_of_whole_thousandths_survives_being_written_down(milliyuan: int, zeros: int) -> None:
    assert milliyuan_of(Decimal(f"{milliyuan // 1000}.{milliyuan % 1000:03d}{'0' * zeros}")) == milliyuan
