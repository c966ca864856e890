"""Subscribe messages of the mini-program (订阅消息), `POST /cgi-bin/message/subscribe/send`.

Source: WeChat's mini-program documentation, "发送订阅消息 sendMessage". The platform takes no key by which a repeated
request would be known, so a request whose answer is lost is never sent again.
"""

from __future__ import annotations

from collections.abc import Mapping

from domain.messages.ports import MessagesUnavailable, Outcome, Sending, Templates
from gateways.exchange import Unsettled
from gateways.wechat_open_api import BUSY_CODE, WeChatOpenApi
from gateways.wechat_open_token import TokenUnavailable
from kernel.logs import get_logger
from kernel.states import MessageTemplate

PATH = "/cgi-bin/message/subscribe/send"
# 43101: the user does not accept the message, or no more.
NOT_ACCEPTED_CODE = 43101
# 45009, 45011: the day's or the minute's quota is spent; nothing was sent.
QUOTA_CODES = frozenset({45009, 45011})

log = get_logger(__name__)


class WeChatMessages:
    """Implements `domain.messages.ports.MessageSender`."""

    def __init__(self, *, api: WeChatOpenApi, templates: Templates, program_state: str) -> None:
        self._api, self._templates, self._program_state = api, templates, program_state

    @property
    def templates(self) -> Templates:
        return self._templates

    async def send(self, *, openid: str, template: MessageTemplate, content: Mapping[str, str]) -> Sending:
        """Send one message once. Raises MessagesUnavailable where nothing was sent."""
        chosen = self._templates[template]
        data = {chosen.keywords[name]: {"value": value} for name, value in content.items() if name in chosen.keywords}
        body = {
            "touser": openid,
            "template_id": chosen.id,
            "miniprogram_state": self._program_state,
            "lang": "zh_CN",
            "data": data,
        }
        try:
            code, _ = await self._api.call(PATH, body)
        except TokenUnavailable as error:
            log.warning("wechat_open.messages_unavailable", reason=str(error))
            raise MessagesUnavailable from None
        except Unsettled as error:
            log.warning("wechat_open.message_unknown", reason=str(error))
            return Sending(Outcome.UNKNOWN)
        if code in QUOTA_CODES:
            log.warning("wechat_open.messages_unavailable", reason=f"errcode {code}")
            raise MessagesUnavailable
        return Sending(_outcome(code), code or None)


def _outcome(code: int) -> Outcome:
    if code == 0:
        return Outcome.SENT
    if code == NOT_ACCEPTED_CODE:
        return Outcome.NOT_ACCEPTED
    return Outcome.UNKNOWN if code == BUSY_CODE else Outcome.TURNED_DOWN
