"""The signature of Tencent Cloud's API 3.0 as the cloud checks it, and the errors that it answers with."""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime
from hashlib import sha256

from starlette.requests import Request

from sandbox.crypto import is_current

AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/, ]+)/(?P<day>[\d-]+)/(?P<service>[a-z]+)/tc3_request, ?"
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


class ApiError(Exception):
    """An answer with an error in it; API 3.0 gives even these the status 200."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(code)


def assert_signed(request: Request, body: bytes, *, service: str, secret_id: str, secret_key: str) -> None:
    """Work the signature out anew from what came over the wire. Raises ApiError."""
    given = AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
    names = given["names"].split(";") if given else []
    well_named = {"content-type", "host"} <= set(names) and names == sorted(set(names))
    if given is None or given["service"] != service or not well_named:
        raise ApiError("AuthFailure.InvalidAuthorization", "请求头部的 Authorization 不符合腾讯云标准")
    if given["id"] != secret_id:
        raise ApiError("AuthFailure.SecretIdNotFound", "密钥不存在")
    timestamp = request.headers.get("X-TC-Timestamp", "")
    if not is_current(timestamp) or datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%d") != given["day"]:
        raise ApiError("AuthFailure.SignatureExpire", "签名过期")
    lines = [f"{name}:{request.headers.get(name, '').strip().lower()}" for name in names]
    canonical = "\n".join(["POST", "/", "", *lines, "", given["names"], sha256(body).hexdigest()])
    hashed = sha256(canonical.encode()).hexdigest()
    message = "\n".join(["TC3-HMAC-SHA256", timestamp, f"{given['day']}/{service}/tc3_request", hashed])
    key = ("TC3" + secret_key).encode()
    for part in (given["day"], service, "tc3_request", message):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(key.hex(), given["signature"]):
        raise ApiError("AuthFailure.SignatureFailure", "签名错误")
