"""What programs look up: authorization server metadata (RFC 8414) and signing keys (RFC 7517)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired

from quart import Response
from typing_extensions import TypedDict

from moorage.accounts.authorization.metadata import AUTH_METHODS, CODE
from moorage.accounts.scopes import IDENTITY_SCOPES
from moorage.context import current_request
from moorage.dialects import OAUTH
from moorage.routes import PUBLIC, Route, Routes
from moorage.surfaces.orbital.device import DEVICE_GRANT, REFRESH_GRANT
from moorage.web import json_response

if TYPE_CHECKING:
    from moorage.hub import Hub


class ServerMetadata(TypedDict):
    """Where the endpoints are and what they take.

    Source: RFC 8414, 2; RFC 8628, 4; RFC 9207, 3; draft-ietf-oauth-client-id-metadata-document.
    """

    issuer: str
    authorization_endpoint: NotRequired[str]
    registration_endpoint: NotRequired[str]
    device_authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    introspection_endpoint: str
    jwks_uri: str
    grant_types_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: NotRequired[list[str]]
    code_challenge_methods_supported: NotRequired[list[str]]
    authorization_response_iss_parameter_supported: NotRequired[bool]
    client_id_metadata_document_supported: NotRequired[bool]
    token_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]
    scopes_supported: list[str]


class PublicKey(TypedDict):
    """A public key on the curve P-256 (JWK)."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    use: str
    alg: str


class KeySet(TypedDict):
    """A JWK set."""

    keys: list[PublicKey]


def routes(hub: Hub) -> list[Route]:
    """GET /.well-known/oauth-authorization-server, GET /.well-known/jwks.json."""
    found = Routes()
    accounts = hub.accounts

    @found.get("/.well-known/oauth-authorization-server", access=PUBLIC, dialect=OAUTH, answer=ServerMetadata)
    async def metadata() -> Response:
        """Say where programs ask for tokens."""
        base, oauth = current_request().base_url, accounts.settings.oauth
        answer: ServerMetadata = {
            "issuer": base,
            "device_authorization_endpoint": f"{base}/api/auth/device/code",
            "token_endpoint": f"{base}/api/auth/device/token",
            "revocation_endpoint": f"{base}/api/auth/revoke",
            "introspection_endpoint": f"{base}/api/v1/auth/introspect",
            "jwks_uri": f"{base}/.well-known/jwks.json",
            "grant_types_supported": [DEVICE_GRANT, REFRESH_GRANT],
            # Nobody is sent here by a browser to bring a code back.
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": [*IDENTITY_SCOPES, *(permission.name for permission in hub.access.permissions())],
        }
        if oauth.enabled:
            answer |= {
                "authorization_endpoint": f"{base}/oauth/authorize",
                "token_endpoint": f"{base}/oauth/token",
                "revocation_endpoint": f"{base}/oauth/revoke",
                "grant_types_supported": [CODE, REFRESH_GRANT, DEVICE_GRANT],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
                "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
                "authorization_response_iss_parameter_supported": True,
                "client_id_metadata_document_supported": oauth.client_documents,
            }
            if oauth.register_clients:
                answer["registration_endpoint"] = f"{base}/oauth/register"
        return json_response(answer)

    @found.get("/.well-known/jwks.json", access=PUBLIC, dialect=OAUTH, answer=KeySet)
    async def jwks() -> Response:
        """List the public keys that JWTs are verified with, those included that sign no more."""
        return json_response(await accounts.tokens.jwks(), headers={"Cache-Control": "public, max-age=60"})

    return list(found)
