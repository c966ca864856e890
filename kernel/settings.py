"""Every limit, address and key of a deployment, read once from the environment."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from kernel.environment_settings import EnvironmentSettings
from kernel.key_settings import KeySettings
from kernel.rate_settings import RateSettings
from kernel.room_settings import RoomSettings
from kernel.wire_settings import WireSettings

SANDBOX_BACKUP_SUB_MCHID = "1900000210"
SANDBOX_PLAN_ID = 12535
SANDBOX_ALIPAY_APP_ID = "2021000100000001"
SANDBOX_ALIPAY_SELLER_ID = "2088000100000001"
SANDBOX_ARRIVAL_TEMPLATE_ID = "sandbox-arrival-0000000000000000000000000000"
SANDBOX_PRICE_TEMPLATE_ID = "sandbox-price-change-00000000000000000000000"


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


def _plain(name: str) -> AliasChoices:
    return AliasChoices(name, f"YOUKA_{name}")


class Settings(EnvironmentSettings, KeySettings, RateSettings, RoomSettings, WireSettings):
    """Settings of the server, the worker and the sandbox. Names of variables: `YOUKA_` and the field in capitals;
    PORT, SANDBOX_PORT, DATA_DIR, DATABASE_URL and REDIS_URL also work bare."""

    model_config = SettingsConfigDict(env_prefix="YOUKA_", extra="ignore", frozen=True, populate_by_name=True)

    environment: Environment = Environment.DEVELOPMENT
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535, validation_alias=_plain("PORT"))] = 8000
    sandbox_port: Annotated[int, Field(ge=1, le=65_535, validation_alias=_plain("SANDBOX_PORT"))] = 8001
    data_dir: Annotated[Path, Field(validation_alias=_plain("DATA_DIR"))] = Path(".data")
    database_url: Annotated[str, Field(validation_alias=_plain("DATABASE_URL"))] = ""
    redis_url: Annotated[str, Field(validation_alias=_plain("REDIS_URL"))] = ""
    public_url: str = ""
    worker_in_server: bool | None = None
    log_format: Annotated[str, Field(pattern="^(console|json)$")] = "console"
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    database_pool_size_max: Annotated[int, Field(ge=1)] = 12
    database_command_timeout_s: Annotated[float, Field(gt=0)] = 3.0
    database_long_command_timeout_s: Annotated[float, Field(gt=0)] = 3_600.0
    database_connect_timeout_s: Annotated[float, Field(gt=0)] = 2.0
    database_acquire_timeout_s: Annotated[float, Field(gt=0)] = 4.0
    sqlite_busy_timeout_ms: Annotated[int, Field(ge=0)] = 5_000

    # The issuer of tokens, a URL; where it is empty, that of this server.
    token_issuer: str = ""
    token_audience: str = "youka-graphql"
    token_lifetime_s: Annotated[int, Field(ge=60)] = 900
    token_key_path: Path | None = None
    access_poll_interval_ms: Annotated[int, Field(ge=1)] = 1_000
    revocations_kept_max: Annotated[int, Field(ge=1)] = 100_000
    refresh_token_lifetime_s: Annotated[int, Field(ge=60)] = 30 * 86_400
    session_lifetime_s: Annotated[int, Field(ge=60)] = 180 * 86_400
    staff_session_lifetime_s: Annotated[int, Field(ge=60)] = 43_200
    sessions_per_user_max: Annotated[int, Field(ge=1)] = 50
    oauth_body_size_max_bytes: Annotated[int, Field(ge=1_024)] = 16 * 1024
    oauth_refusals_per_address_max: Annotated[int, Field(ge=1)] = 300
    device_codes_per_address_max: Annotated[int, Field(ge=1)] = 120
    # The window in which what one address does is counted.
    oauth_window_s: Annotated[float, Field(gt=0)] = 60.0
    device_code_lifetime_s: Annotated[int, Field(ge=60)] = 600
    device_poll_interval_s: Annotated[int, Field(ge=1)] = 5
    # The page that a device's QR code leads to; where it is empty, `/device` of this server.
    device_verification_url: str = ""
    user_code_attempts_max: Annotated[int, Field(ge=1)] = 10
    user_code_attempts_window_s: Annotated[float, Field(gt=0)] = 900.0
    staff_attempts_max: Annotated[int, Field(ge=1)] = 5
    staff_attempts_window_s: Annotated[float, Field(gt=0)] = 900.0
    staff_redirect_uris: tuple[str, ...] = ()
    authorization_code_lifetime_s: Annotated[int, Field(ge=10)] = 60
    # Common libraries sign for an hour.
    client_assertion_lifetime_max_s: Annotated[int, Field(ge=30)] = 3_600
    client_key_overlap_s: Annotated[float, Field(ge=0)] = 86_400.0
    client_tokens_per_hour_max: Annotated[int, Field(ge=1)] = 1_000
    # Whether clients of the sandbox tenant are served; a deployment that moves real money serves none.
    sandbox_tenant: bool | None = None
    data_key: SecretStr = SecretStr("")

    recharge_amount_min_fen: Annotated[int, Field(ge=1)] = 1_000
    recharge_amount_max_fen: Annotated[int, Field(ge=1)] = 500_000
    recharge_daily_max_fen: Annotated[int, Field(ge=1)] = 5_000_000
    review_above_fen: Annotated[int, Field(ge=1)] = 200_000
    review_deadline_s: Annotated[float, Field(gt=0)] = 86_400.0
    split_window_s: Annotated[float, Field(gt=0)] = 3_600.0
    face_token_lifetime_s: Annotated[float, Field(gt=0)] = 600.0
    top_up_amount_max_fen: Annotated[int, Field(ge=1)] = 500_000
    wallet_balance_max_fen: Annotated[int, Field(ge=1)] = 1_000_000
    drafts_per_sync_max: Annotated[int, Field(ge=1)] = 20
    unpaid_orders_per_user_max: Annotated[int, Field(ge=1)] = 5
    cards_per_user_max: Annotated[int, Field(ge=1)] = 20
    payment_deadline_s: Annotated[int, Field(ge=60)] = 900
    payment_query_delay_s: Annotated[float, Field(gt=0)] = 15.0
    recharge_query_delay_s: Annotated[float, Field(gt=0)] = 15.0
    recharge_queries_max: Annotated[int, Field(ge=1)] = 30
    compensation_after_s: Annotated[float, Field(gt=0)] = 900.0
    callback_age_max_s: Annotated[int, Field(ge=1)] = 300
    callback_body_max_bytes: Annotated[int, Field(ge=1)] = 64 * 1024

    third_party_timeout_s: Annotated[float, Field(gt=0)] = 5.0
    # After so many failures in a row a third party is not called for so long, and then by one caller who tries.
    third_party_failures_max: Annotated[int, Field(ge=1)] = 15
    third_party_pause_s: Annotated[float, Field(gt=0)] = 5.0
    third_party_calls_max: Annotated[int, Field(ge=1)] = 32
    third_party_place_wait_ms: Annotated[int, Field(ge=1)] = 250
    wechat_pay_url: str = ""
    wechat_pay_sp_appid: str = "wx8f3a0c5e7d9b1240"
    wechat_pay_sp_mchid: str = "1900000109"
    wechat_pay_sub_mchid: str = "1900000209"
    wechat_pay_backup_url: str = ""
    wechat_pay_backup_sub_mchid: str | None = None
    wechat_pay_certificate_serial: str = ""
    wechat_pay_platform_serial: str = ""
    wechat_pay_platform_key_path: Path | None = None
    wechat_pay_public_key_id: Annotated[str, Field(pattern="^(PUB_KEY_ID_[0-9A-Za-z]{1,64})?$")] = ""
    wechat_pay_public_key_path: Path | None = None
    wechat_pay_api_v3_key: SecretStr = SecretStr("")
    wechat_pay_certificates_interval_s: Annotated[float, Field(gt=0)] = 43_200.0
    bill_size_max_bytes: Annotated[int, Field(ge=1)] = 4 * 1024 * 1024 * 1024
    bill_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    # The second address of the main merchant's channel; WeChat Pay's is api2.mch.weixin.qq.com.
    wechat_pay_second_url: str = ""
    alipay_url: str = ""
    alipay_second_url: str = ""
    alipay_app_id: str = ""
    alipay_seller_id: Annotated[str, Field(pattern=r"^(|2088\d{12})$")] = ""
    alipay_public_key_path: Path | None = None
    # Alipay repeats a notice for 25 hours and does not say anew when it was sent.
    alipay_notice_age_max_s: Annotated[int, Field(ge=1)] = 93_600
    alipay_bill_host: str = "dwbillcenter.alipay.com"
    alipay_bill_size_max_bytes: Annotated[int, Field(ge=1)] = 512 * 1024 * 1024
    alipay_bill_timeout_s: Annotated[float, Field(gt=0)] = 120.0
    channel_suspect_failures: Annotated[int, Field(ge=1)] = 2
    channel_down_failures: Annotated[int, Field(ge=1)] = 5
    # A failure that is older does not count towards these.
    channel_failure_window_s: Annotated[float, Field(gt=0)] = 60.0
    channel_probe_interval_s: Annotated[float, Field(gt=0)] = 10.0
    wechat_open_url: str = ""
    wechat_open_app_id: str = "wx8f3a0c5e7d9b1240"
    wechat_open_app_secret: SecretStr = SecretStr("")
    wechat_open_arrival_template_id: str = ""
    wechat_open_arrival_keywords: dict[str, str] = {
        "amount": "amount1",
        "card": "character_string2",
        "time": "time3",
    }
    wechat_open_price_template_id: str = ""
    wechat_open_price_keywords: dict[str, str] = {
        "zone": "thing1",
        "product": "thing2",
        "price": "amount3",
        "time": "time4",
    }
    # developer, trial or formal: which version of the mini-program a message opens.
    wechat_open_program_state: Annotated[str, Field(pattern="^(developer|trial|formal)$")] = "formal"
    message_consents_max: Annotated[int, Field(ge=1)] = 20
    message_age_max_s: Annotated[float, Field(gt=0)] = 21_600.0
    message_history_days: Annotated[int, Field(ge=1)] = 90
    message_scan_interval_s: Annotated[float, Field(gt=0)] = 5.0
    tencent_sms_url: str = ""
    tencent_sms_region: str = "ap-guangzhou"
    tencent_sms_sdk_app_id: str = ""
    tencent_sms_sign_name: str = ""
    tencent_sms_template_id: str = ""
    sms_code_lifetime_s: Annotated[float, Field(ge=60)] = 300.0
    sms_interval_s: Annotated[float, Field(ge=0)] = 60.0
    sms_attempts_max: Annotated[int, Field(ge=1, le=10)] = 5
    sms_per_phone_daily_max: Annotated[int, Field(ge=1)] = 10
    sms_per_user_daily_max: Annotated[int, Field(ge=1)] = 10
    sms_per_address_daily_max: Annotated[int, Field(ge=1)] = 100
    tencent_lbs_url: str = ""
    tencent_lbs_key: SecretStr = SecretStr("")
    tencent_lbs_secret: SecretStr = SecretStr("")
    tencent_lbs_timeout_s: Annotated[float, Field(gt=0)] = 1.0
    driving_distances_keep_s: Annotated[float, Field(gt=0)] = 120.0
    driving_distances_kept_max: Annotated[int, Field(ge=1)] = 20_000
    # For so long a map service that failed is not asked for distances.
    tencent_lbs_pause_s: Annotated[float, Field(gt=0)] = 5.0
    price_platform_url: str = ""
    price_platform_key_id: str = "youka"
    price_platform_secret: SecretStr = SecretStr("")
    price_platform_provinces: tuple[Annotated[str, Field(pattern=r"^[1-9]\d{5}$")], ...] = ("310000",)
    price_sync_interval_s: Annotated[float, Field(ge=1)] = 600.0
    # A price that moves by more than this is held for a person.
    price_move_max_basis_points: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    tencent_face_url: str = ""
    tencent_face_rule_id: str = "1"
    tencent_face_redirect_url: str = ""
    tencent_secret_id: str = ""
    tencent_secret_key: SecretStr = SecretStr("")
    issuer_url: str = ""
    issuer_partner_id: str = "youka"
    issuer_public_key_path: Path | None = None
    issuer_secret: SecretStr = SecretStr("")
    issuer_margin_basis_points: Annotated[int, Field(ge=0, le=10_000)] = 50
    issuers: tuple[Annotated[str, Field(pattern="^(card_issuer|ofpay|juhe|fulu)$")], ...] = ("card_issuer",)
    issuer_cost_basis_points: dict[str, dict[str, Annotated[int, Field(ge=1, le=20_000)]]] = {
        "card_issuer": {"SINOPEC": 9_950, "PETROCHINA": 9_950},
        "ofpay": {"SINOPEC": 9_960, "PETROCHINA": 9_970},
        "juhe": {"SINOPEC": 9_970, "PETROCHINA": 9_980},
        "fulu": {"SINOPEC": 9_980, "PETROCHINA": 9_960},
    }
    ofpay_url: str = ""
    ofpay_user_id: str = "A0810000"
    ofpay_password: SecretStr = SecretStr("")
    ofpay_key: SecretStr = SecretStr("")
    juhe_url: str = ""
    juhe_open_id: SecretStr = SecretStr("")
    juhe_key: SecretStr = SecretStr("")
    fulu_url: str = ""
    fulu_app_key: str = "youka"
    fulu_app_secret: SecretStr = SecretStr("")
    issuer_deposit_reserve_fen: Annotated[int, Field(ge=0)] = 1_000_000
    issuer_rest_s: Annotated[float, Field(gt=0)] = 60.0
    issuer_watch_interval_s: Annotated[float, Field(ge=1)] = 60.0
    issuer_hint_interval_s: Annotated[float, Field(ge=1)] = 5.0
    card_check_interval_s: Annotated[float, Field(ge=1)] = 30.0
    issuer_bill_size_max_bytes: Annotated[int, Field(ge=1_024)] = 256 * 1024 * 1024

    # The hour in Asia/Shanghai from which the bills of the day before are asked for; WeChat Pay has its own at ten.
    reconciliation_hour: Annotated[int, Field(ge=0, le=23)] = 11
    reconciliation_retry_first_s: Annotated[float, Field(gt=0)] = 60.0
    reconciliation_attempts_max: Annotated[int, Field(ge=1)] = 288
    reconciliation_timeout_s: Annotated[float, Field(gt=0)] = 3_600.0
    reconciliation_lease_s: Annotated[float, Field(gt=0)] = 60.0
    reconciliation_lines_in_memory_max: Annotated[int, Field(ge=1)] = 50_000
    reconciliation_differences_max: Annotated[int, Field(ge=1)] = 20_000

    ledger_partitions_ahead_months: Annotated[int, Field(ge=0, le=24)] = 3
    finance_poll_interval_ms: Annotated[int, Field(ge=1)] = 1_000
    finance_pause_ms: Annotated[int, Field(ge=0)] = 200
    finance_batch_size_max: Annotated[int, Field(ge=1)] = 500
    finance_lag_warning_s: Annotated[float, Field(gt=0)] = 60.0

    webhooks_per_user_max: Annotated[int, Field(ge=1)] = 10
    webhook_ports: tuple[int, ...] = (443,)
    webhook_document_length_max: Annotated[int, Field(ge=1)] = 8_192
    webhook_variables_size_max_bytes: Annotated[int, Field(ge=2)] = 8 * 1024
    webhook_payload_size_max_bytes: Annotated[int, Field(ge=1_024)] = 256 * 1024
    webhook_answer_size_max_bytes: Annotated[int, Field(ge=1)] = 4 * 1024
    webhook_timeout_s: Annotated[float, Field(gt=0)] = 15.0
    webhook_retry_after_max_s: Annotated[float, Field(gt=0)] = 3_600.0
    webhook_give_up_after_s: Annotated[float, Field(gt=0)] = 86_400.0
    webhook_secret_overlap_s: Annotated[float, Field(ge=0)] = 86_400.0
    webhook_log_days: Annotated[int, Field(ge=1)] = 30
    webhook_lease_s: Annotated[float, Field(gt=0)] = 3.0
    webhook_poll_interval_ms: Annotated[int, Field(ge=1)] = 1_000
    webhook_turn_s: Annotated[float, Field(gt=0)] = 5.0
    webhooks_held_max: Annotated[int, Field(ge=1)] = 500
    webhooks_concurrent_max: Annotated[int, Field(ge=1)] = 32
    webhook_stop_patience_s: Annotated[float, Field(ge=0)] = 2.0

    voice_transcript_length_max: Annotated[int, Field(ge=1, le=1_000)] = 200
    voice_confirm_within_s: Annotated[float, Field(gt=0)] = 60.0
    voice_session_lifetime_s: Annotated[float, Field(gt=0)] = 600.0
    voice_sessions_per_user_max: Annotated[int, Field(ge=1)] = 10
    voice_search_radius_m: Annotated[int, Field(ge=1)] = 20_000
    # Where events are late, switches that were turned are noticed by looking so often.
    switch_poll_interval_ms: Annotated[int, Field(ge=10)] = 2_000
    # What `/metrics` asks for. Without one only this machine is answered, and in production nobody.
    metrics_token: SecretStr = SecretStr("")

    page_size_max: Annotated[int, Field(ge=1)] = 100
    search_radius_max_m: Annotated[int, Field(ge=1)] = 50_000
    subscriptions_per_connection_max: Annotated[int, Field(ge=1)] = 50
    subscription_queue_size_max: Annotated[int, Field(ge=1)] = 256
    subscription_check_interval_ms: Annotated[int, Field(ge=1)] = 5_000
    # Prices that were announced late are compared with the events of the last days.
    event_history_days: Annotated[int, Field(ge=2)] = 30
    snapshot_arrivals_max: Annotated[int, Field(ge=1)] = 50
    snapshot_prices_max: Annotated[int, Field(ge=1)] = 500
    snapshot_alerts_max: Annotated[int, Field(ge=1)] = 100
    devices_per_user_max: Annotated[int, Field(ge=1)] = 20
    redis_sharded_pubsub: bool = False
    relay_batch_size_max: Annotated[int, Field(ge=1)] = 500
    relay_poll_interval_ms: Annotated[int, Field(ge=1)] = 250
    worker_poll_interval_ms: Annotated[int, Field(ge=1)] = 250
    worker_jobs_concurrent_max: Annotated[int, Field(ge=1)] = 16
    worker_stop_patience_s: Annotated[float, Field(gt=0)] = 5.0
    job_lease_s: Annotated[float, Field(gt=0)] = 3.0
    job_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    job_attempts_max: Annotated[int, Field(ge=1)] = 12
    # The first deaths of a worker may be a neighbour's doing, so no work is parked for them alone.
    job_crashes_max: Annotated[int, Field(ge=3)] = 5
    # Third parties repeat a callback for a day, so its job is kept for longer than that.
    job_history_days: Annotated[int, Field(ge=2)] = 90

    @property
    def development(self) -> bool:
        return self.environment is Environment.DEVELOPMENT

    @property
    def introspects(self) -> bool:
        return self.development if self.introspection is None else self.introspection

    @property
    def database(self) -> str:
        """The database's address; an embedded SQLite file inside `data_dir` where none is set."""
        return self.database_url or f"sqlite://{(self.data_dir / 'youka.db').resolve()}"

    @property
    def runs_worker(self) -> bool:
        """Whether the server runs the jobs itself: by default only with the embedded database."""
        if self.worker_in_server is not None:
            return self.worker_in_server
        return self.database.startswith("sqlite")

    @property
    def base_url(self) -> str:
        """Where third parties reach this server for callbacks."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def issuer(self) -> str:
        """Who issues tokens (RFC 8414, section 2)."""
        return self.token_issuer or self.base_url

    @property
    def device_page_url(self) -> str:
        """The page where a user goes on who has scanned a car's QR code."""
        return self.device_verification_url or f"{self.issuer}/device"

    @property
    def serves_sandbox_tenant(self) -> bool:
        """Whether clients of the sandbox tenant get tokens: by default only while developing."""
        return self.development if self.sandbox_tenant is None else self.sandbox_tenant

    @property
    def backup_sub_mchid(self) -> str:
        """The sub-merchant of the backup route, or nothing; in development the sandbox's where none is set."""
        if self.wechat_pay_backup_sub_mchid is None:
            return SANDBOX_BACKUP_SUB_MCHID if self.development else ""
        return self.wechat_pay_backup_sub_mchid

    @property
    def plan_id(self) -> int | None:
        """The template of contracts for deductions, or None where there are none; in development the sandbox's."""
        return self.wechat_pay_plan_id or (SANDBOX_PLAN_ID if self.development else None)

    @property
    def alipay_app(self) -> str:
        """The app by which Alipay is asked, or nothing where it is not offered; in development the sandbox's."""
        return self.alipay_app_id or (SANDBOX_ALIPAY_APP_ID if self.development else "")

    @property
    def alipay_seller(self) -> str:
        """Who receives what is paid by Alipay (the PID); in development the sandbox's."""
        return self.alipay_seller_id or (SANDBOX_ALIPAY_SELLER_ID if self.development else "")

    @property
    def arrival_template_id(self) -> str:
        """The template of arrivals, or nothing where none are sent; in development the sandbox's."""
        return self.wechat_open_arrival_template_id or (SANDBOX_ARRIVAL_TEMPLATE_ID if self.development else "")

    @property
    def price_template_id(self) -> str:
        """The template of price changes, or nothing where none are sent; in development the sandbox's."""
        return self.wechat_open_price_template_id or (SANDBOX_PRICE_TEMPLATE_ID if self.development else "")

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Read the environment once per process. Where a variable is wrong the process ends and says which and why."""
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = str(problem["loc"][0])
            variable = name if name.isupper() else f"YOUKA_{name.upper()}"
            sys.stderr.write(f"youka: {variable}: {problem['msg']}\n")
        raise SystemExit(2) from None
