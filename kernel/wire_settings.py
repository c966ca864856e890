"""The settings of what clients send and hear: connections, requests, documents and pages. Settings has them all."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode


class WireSettings(BaseSettings):
    """How much, how fast and from where; a part of Settings, which says how the variables are named."""

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    connection_init_timeout_s: Annotated[float, Field(gt=0)] = 5.0
    connections_max: Annotated[int, Field(ge=1)] = 20_000
    connections_per_address_max: Annotated[int, Field(ge=1)] = 10_000
    connections_per_user_max: Annotated[int, Field(ge=1)] = 20
    # The header in which our own proxy names the client, such as X-Forwarded-For; only its last element is believed.
    client_address_header: str = ""
    messages_per_second_max: Annotated[float, Field(gt=0)] = 50.0
    messages_burst_max: Annotated[int, Field(ge=1)] = 200
    websocket_ping_interval_s: Annotated[float, Field(gt=0)] = 25.0
    websocket_frame_size_max_bytes: Annotated[int, Field(ge=1_024)] = 64 * 1024
    sse_heartbeat_interval_s: Annotated[float, Field(gt=0)] = 15.0
    token_expiry_warning_s: Annotated[float, Field(gt=0)] = 60.0
    slow_reader_patience_s: Annotated[float, Field(gt=0)] = 10.0
    reconnect_spread_ms: Annotated[int, Field(ge=1)] = 5_000
    drain_patience_s: Annotated[float, Field(gt=0)] = 3.0
    trusted_documents_only: bool = False
    persisted_queries_size_max_bytes: Annotated[int, Field(ge=0)] = 8 * 1024 * 1024
    persisted_query_size_max_bytes: Annotated[int, Field(ge=1)] = 16 * 1024
    request_body_size_max_bytes: Annotated[int, Field(ge=1_024)] = 256 * 1024
    # By default introspection, and the names that an error suggests, are for development.
    introspection: bool | None = None
    document_tokens_max: Annotated[int, Field(ge=100, le=20_000)] = 5_000
    document_depth_max: Annotated[int, Field(ge=1, le=100)] = 20
    document_fields_max: Annotated[int, Field(ge=1)] = 500
    document_aliases_max: Annotated[int, Field(ge=0)] = 50
    document_directives_max: Annotated[int, Field(ge=0)] = 50
    document_spreads_max: Annotated[int, Field(ge=0)] = 100
    document_values_max: Annotated[int, Field(ge=1)] = 500
    document_value_length_max: Annotated[int, Field(ge=40)] = 8_192
    variables_size_max_bytes: Annotated[int, Field(ge=2)] = 64 * 1024
    # How many objects `nodes` finds at once.
    nodes_max: Annotated[int, Field(ge=1)] = 20
    # How often a process adds to the database what it has counted of deprecated parts; a killed one loses that much.
    deprecated_usage_interval_s: Annotated[float, Field(gt=0)] = 60.0
    operation_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    request_head_size_max_bytes: Annotated[int, Field(ge=1_024)] = 64 * 1024
    request_head_timeout_s: Annotated[float, Field(gt=0)] = 5.0
    request_body_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    # The origins from which the tokens of a client are taken, by its client id; a client without an entry is not bound.
    client_origins: dict[str, tuple[str, ...]] = {}
    # For how long a browser may insist on HTTPS; 0 where TLS is none of our business.
    hsts_max_age_s: Annotated[int, Field(ge=0)] = 0

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        """In the environment the origins are separated by commas."""
        return tuple(filter(None, map(str.strip, given.split(",")))) if isinstance(given, str) else given
