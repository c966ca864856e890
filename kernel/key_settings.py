"""Where our private keys are that sign for third parties: in files, or in a security module. Settings has them all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class KeySettings(BaseSettings):
    """A key is a file (`…_path`), or one of the module that has a label (`…_pkcs11`); a part of Settings."""

    wechat_pay_private_key_path: Path | None = None
    wechat_pay_private_key_pkcs11: str = ""
    alipay_private_key_path: Path | None = None
    alipay_private_key_pkcs11: str = ""
    issuer_private_key_path: Path | None = None
    issuer_private_key_pkcs11: str = ""
    pkcs11_module_path: Path | None = None
    pkcs11_token_label: str = ""
    pkcs11_pin: SecretStr = SecretStr("")
    # As many threads sign at a time, and as many sessions are open beside the one that is logged in.
    pkcs11_sessions_max: Annotated[int, Field(ge=1)] = 8
    pkcs11_timeout_s: Annotated[float, Field(gt=0)] = 2.0
