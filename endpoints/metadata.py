"""What the authorization server says of itself (RFC 8414)."""

from __future__ import annotations

from typing import Any

from domain.access.assertions import ALGORITHMS
from domain.access.rules import GRANTS, POSSIBLE_SCOPES

METADATA_PATH = "/.well-known/oauth-authorization-server"
CONFIDENTIAL_METHODS = ["private_key_jwt", "client_secret_basic", "client_secret_post"]
METHODS = [*CONFIDENTIAL_METHODS, "none"]


def metadata_of(issuer: str) -> dict[str, Any]:
    """Return the metadata of the server with this issuer; its endpoints are beside each other under `/oauth`."""
    algorithms = [each for names in ALGORITHMS.values() for each in names]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "jwks_uri": f"{issuer}/oauth/jwks.json",
        "scopes_supported": sorted(frozenset().union(*POSSIBLE_SCOPES.values())),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": sorted(frozenset().union(*GRANTS.values())),
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": CONFIDENTIAL_METHODS,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }
