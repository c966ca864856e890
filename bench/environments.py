"""What the servers are told: Youka runs by the settings of a production, its peers take the same tokens and limits."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.subjects import Subject
from domain.identity.tokens import TokenAuthority, authority
from kernel.keys import token_key
from kernel.settings import Settings
from sandbox.keys import load_or_create

LIMITLESS = 10**12
RUN_LIFETIME_S = 86_400
ISSUER = "youka-bench"
DATA_KEY = base64.b64encode(bytes(range(32))).decode()
SDL = Path(__file__).resolve().parent / "peers" / "schema.graphql"
# As many connections as Youka may open.
POOL_SIZE_MAX = Settings.model_fields["database_pool_size_max"].default
OF_THE_CALLER = ("YOUKA_", "REDIS_URL", "DATABASE_URL", "NODE_")

# Who signs for third parties does not matter, since nobody of them is called; that they are named does.
NAMED = {
    "WECHAT_PAY_SP_APPID": "wx0000000000000001",
    "WECHAT_PAY_SP_MCHID": "1900000001",
    "WECHAT_PAY_SUB_MCHID": "1900000002",
    "WECHAT_OPEN_APP_ID": "wx0000000000000001",
    "WECHAT_OPEN_APP_SECRET": "0" * 32,
    "TENCENT_FACE_RULE_ID": "1",
    "TENCENT_SECRET_ID": "AKID0",
    "TENCENT_SECRET_KEY": "secret",
    "ISSUER_URL": "https://issuer.invalid",
    "ISSUER_PARTNER_ID": "youka",
}
TEXTS = ("wechat_pay_certificate_serial", "wechat_pay_platform_serial", "wechat_pay_api_v3_key", "issuer_secret")
PEMS = ("wechat_pay_private_key", "wechat_pay_platform_key", "issuer_private_key", "issuer_public_key")


@dataclass(frozen=True, slots=True)
class Environments:
    """The settings of every server of a run; those of the caller would make two runs differ."""

    common: Mapping[str, str]
    for_node: Mapping[str, str]
    tokens: TokenAuthority

    @classmethod
    def create(cls, folder: Path) -> Environments:
        """Make the keys of a deployment below the folder."""
        token_key_path = folder / "keys" / "token.pem"
        # Not from the environment: that is the caller's.
        settings = Settings.model_construct(
            token_key_path=token_key_path, token_issuer=ISSUER, token_lifetime_s=RUN_LIFETIME_S
        )
        tokens = authority(settings)
        sandbox_keys = folder / "sandbox" / "keys"
        load_or_create(sandbox_keys)
        own = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_CALLER)}
        told = {
            "ENVIRONMENT": "production",
            "PUBLIC_URL": "https://recharge.invalid",
            "DATA_KEY": DATA_KEY,
            "TOKEN_KEY_PATH": str(token_key_path),
            "TOKEN_ISSUER": ISSUER,
            "TOKEN_LIFETIME_S": str(RUN_LIFETIME_S),
            "WORKER_IN_SERVER": "false",
            "LOG_LEVEL": "WARNING",
            "LOG_FORMAT": "json",
            # An order that expires, or a limit that is reached, would be another operation than what is measured.
            "PAYMENT_DEADLINE_S": str(RUN_LIFETIME_S),
            "UNPAID_ORDERS_PER_USER_MAX": str(LIMITLESS),
            "RATE_LIMIT_FACTOR": "1000000",
            "RECHARGE_DAILY_MAX_FEN": str(LIMITLESS),
            **NAMED,
            **{name.upper(): (sandbox_keys / name).read_text("ascii").strip() for name in TEXTS},
            **{f"{name.upper()}_PATH": str(sandbox_keys / f"{name}.pem") for name in PEMS},
        }
        common = {**own, "DATA_DIR": str(folder), **{f"YOUKA_{name}": value for name, value in told.items()}}
        for_node = {
            "NODE_ENV": "production",
            "SCHEMA_PATH": str(SDL),
            "TOKEN_PUBLIC_KEY": token_key(settings).as_pem(private=False).decode(),
            "TOKEN_AUDIENCE": settings.token_audience,
            "PG_POOL_MAX": str(POOL_SIZE_MAX),
        }
        return cls(common, for_node, tokens)

    def of(self, subject: Subject, *, database_url: str, redis_url: str) -> dict[str, str]:
        """Return what one server is told; `redis_url` is empty where it has none."""
        return {
            **self.common,
            **(self.for_node if subject.on_node else {}),
            **subject.environment,
            "DATABASE_URL": database_url,
            **({"REDIS_URL": redis_url} if redis_url else {}),
        }
