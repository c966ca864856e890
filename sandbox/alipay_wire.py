"""How Alipay's open platform reads requests and writes answers and notices: signed forms, and signed nodes of JSON."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1

from kernel.clock import SHANGHAI, utc_now
from sandbox.crypto import CLOCK_DIFFERENCE_MAX_S, signature_matches, signature_of
from sandbox.keys import KEY_SIZE_BITS, PUBLIC_EXPONENT, Keys
from sandbox.store import Document

TIME = "%Y-%m-%d %H:%M:%S"
SUCCESS = {"code": "10000", "msg": "Success"}
BUSINESS_FAILED = "40004"
NUMBER_LENGTH_MAX = 64


class Failed(Exception):
    """A method that the platform did not do: its code, and the reason's own."""

    def __init__(self, sub_code: str, sub_msg: str, code: str = BUSINESS_FAILED) -> None:
        self.code, self.sub_code, self.sub_msg = code, sub_code, sub_msg
        super().__init__(sub_code)

    def describe(self) -> Document:
        return {"code": self.code, "msg": "Business Failed", "sub_code": self.sub_code, "sub_msg": self.sub_msg}


def time_text(moment: datetime | None = None) -> str:
    return (moment or utc_now()).astimezone(SHANGHAI).strftime(TIME)


def signed_text(parameters: Mapping[str, str], *without: str) -> str:
    pairs = sorted((name, value) for name, value in parameters.items() if value and name not in without)
    return "&".join(f"{name}={value}" for name, value in pairs)


def read_request(body: bytes, keys: Keys, app_id: str) -> dict[str, str]:
    """Return the parameters of a request. Raises Failed where they are not those of the app, freshly signed."""
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    if form.get("app_id") != app_id:
        raise Failed("isv.invalid-app-id", "无效的AppID参数", "40002")
    if form.get("sign_type") != "RSA2" or form.get("charset") != "utf-8" or form.get("version") != "1.0":
        raise Failed("isv.invalid-signature-type", "无效的签名类型", "40002")
    if not signature_matches(keys.alipay_merchant_key, signed_text(form, "sign"), form.get("sign", "")):
        raise Failed("isv.invalid-signature", "验签出错", "40002")
    sent_at = datetime.strptime(form.get("timestamp", ""), TIME).replace(tzinfo=SHANGHAI)
    if abs((utc_now() - sent_at).total_seconds()) > CLOCK_DIFFERENCE_MAX_S:
        raise Failed("isv.invalid-timestamp", "非法的时间戳参数", "40002")
    return form


def read_content(form: Mapping[str, str]) -> Document:
    try:
        content = json.loads(form.get("biz_content", ""))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Failed("isv.invalid-parameter", "biz_content 不是合法的 JSON", "40002")
    return content


def write_answer(method: str, document: Document, keys: Keys, spoilt: str = "ok") -> bytes:
    """Return an answer whose signature covers the node as it stands there; `spoilt` is a fault of `alipay`."""
    node = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    signature = sha1_signature(keys.alipay_key, node) if spoilt == "sha1" else signature_of(keys.alipay_key, node)
    if spoilt == "altered":
        node = node.replace("Success", "Succeeded")
    name = method.replace(".", "_") + "_response" if method else "error_response"
    members = [f'"{name}":{node}', *([] if spoilt == "unsigned" else [f'"sign":"{signature}"'])]
    return ("{" + ",".join(members) + "}").encode()


def write_notice(form: Mapping[str, str], keys: Keys, spoilt: str = "ok") -> bytes:
    """Return a notice as it is posted; `spoilt` is a fault of `alipay_notice`."""
    sign_type = "RSA" if spoilt == "sha1" else "RSA2"
    message = signed_text(form, "sign", "sign_type")
    if spoilt == "sha1":
        signature = sha1_signature(keys.alipay_key, message)
    elif spoilt == "forged":
        signature = signature_of(generate_private_key(PUBLIC_EXPONENT, KEY_SIZE_BITS), message)
    else:
        signature = signature_of(keys.alipay_key, message)
    changed = {**form, "total_amount": "0.01"} if spoilt == "altered" else form
    return urlencode({**changed, "sign_type": sign_type, "sign": signature}).encode()


def sha1_signature(key: RSAPrivateKey, message: str) -> str:
    return b64encode(key.sign(message.encode(), PKCS1v15(), SHA1())).decode()  # noqa: S303


def number_of(content: Document, name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= NUMBER_LENGTH_MAX:
        raise Failed("ACQ.INVALID_PARAMETER", f"参数无效 {name}")
    return value
