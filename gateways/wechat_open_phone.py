"""The phone number that a user shares with the mini-program, `POST /wxa/business/getuserphonenumber`.

Source: WeChat's mini-program documentation, "获取手机号 getPhoneNumber": a code is good once and for five minutes; the
watermark holds the mini-program's appid and when the user shared the number.
"""

from __future__ import annotations

import re

from domain.identity.ports import Phone, PhoneCodeRefused, PhoneUnavailable
from gateways.documents import Document, Malformed, child, text
from gateways.exchange import Unsettled
from gateways.wechat_open_api import WeChatOpenApi
from kernel.clock import utc_now
from kernel.logs import get_logger

PATH = "/wxa/business/getuserphonenumber"
CODE_LENGTH_MAX = 128
# 40029: the code is invalid, too old or used. 40163: it was used already. 40013: it is another mini-program's.
REFUSED_CODES = frozenset({40029, 40163, 40013})
# A code lives for five minutes; a minute is left for clocks.
WATERMARK_AGE_MAX_S = 360
WATERMARK_AHEAD_MAX_S = 60
COUNTRY_CODE = re.compile(r"[1-9]\d{0,3}", re.ASCII)
NATIONAL_NUMBER = re.compile(r"\d{4,14}", re.ASCII)

log = get_logger(__name__)


class WeChatPhones:
    """Implements `domain.identity.ports.PhoneNumbers`. A lost answer is not asked for again: the code may be spent."""

    def __init__(self, *, api: WeChatOpenApi, app_id: str) -> None:
        self._api, self._app_id = api, app_id

    async def phone_of(self, code: str) -> Phone:
        """Exchange a code of the user once for their phone number. Raises PhoneCodeRefused or PhoneUnavailable."""
        if not 0 < len(code) <= CODE_LENGTH_MAX or not code.isascii():
            raise PhoneCodeRefused
        try:
            errcode, document = await self._api.call(PATH, {"code": code})
            if errcode in REFUSED_CODES:
                raise PhoneCodeRefused
            if errcode != 0:
                raise Unsettled(f"errcode {errcode}")
            return self._read(child(document, "phone_info"))
        except (Unsettled, Malformed) as error:
            log.warning("wechat_open.phone_unavailable", reason=str(error))
            raise PhoneUnavailable from None

    def _read(self, info: Document) -> Phone:
        self._check(child(info, "watermark"))
        # The documentation calls it a text, and its example shows a number.
        country, national = str(info.get("countryCode", "")), text(info, "purePhoneNumber")
        if not COUNTRY_CODE.fullmatch(country) or not NATIONAL_NUMBER.fullmatch(national):
            raise Malformed("purePhoneNumber is not a phone number")
        return Phone(country=country, national=national)

    def _check(self, watermark: Document) -> None:
        """Refuse what another mini-program's user, or another moment's, has shared. Raises PhoneCodeRefused."""
        timestamp = watermark.get("timestamp")
        if isinstance(timestamp, bool) or not isinstance(timestamp, int):
            raise Malformed("the watermark has no timestamp")
        age_s = utc_now().timestamp() - timestamp
        foreign = watermark.get("appid") != self._app_id
        if foreign or not -WATERMARK_AHEAD_MAX_S <= age_s <= WATERMARK_AGE_MAX_S:
            log.error("wechat_open.watermark_refused", foreign=foreign, age_s=round(age_s))
            raise PhoneCodeRefused
