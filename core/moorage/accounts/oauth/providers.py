"""The kinds of providers: what they are asked, and what they say of a person."""

from __future__ import annotations

import asyncio
from datetime import datetime
from time import monotonic
from typing import Any, Protocol

from moorage.accounts.names import storable
from moorage.accounts.oauth.client import ProviderClient, is_local
from moorage.accounts.oauth.idtoken import IssuerKeys, verify
from moorage.accounts.oauth.profile import Profile, Proof
from moorage.accounts.oauth.refusals import Refused
from moorage.config.settings import ProviderSettings

METADATA_SECONDS = 600.0
GOOGLE = "https://accounts.google.com"
MAX_SUBJECT = 255
_USERINFO = ("email", "email_verified", "preferred_username", "name", "picture")


class Provider(Protocol):
    """One provider of the configuration."""

    async def authorize_url(self, proof: Proof, state: str) -> str:
        """Where the browser is sent. Refused when the provider cannot be asked."""
        ...

    async def check_issuer(self, issuer: str | None) -> None:
        """Refused when an answer names another issuer. Source: RFC 9207, 2.4."""
        ...

    async def profile(self, code: str, proof: Proof, now: datetime) -> Profile:
        """Who it was, from the code that the browser brought. Refused."""
        ...


class GitHub:
    """GitHub, or an Enterprise server at `issuer`: OAuth 2 without ID tokens."""

    def __init__(self, settings: ProviderSettings) -> None:
        base = (settings.issuer or "https://github.com").rstrip("/")
        self._authorize = f"{base}/login/oauth/authorize"
        self._token = f"{base}/login/oauth/access_token"
        self._api = "https://api.github.com" if settings.issuer is None else f"{base}/api/v3"
        self._scope = " ".join(settings.scopes or ["read:user", "user:email"])
        secret = settings.client_secret.get_secret_value()
        self._http = ProviderClient(settings.client_id, secret, local=is_local(base))

    async def authorize_url(self, proof: Proof, state: str) -> str:
        return self._http.authorization_url(
            self._authorize, redirect_uri=proof.redirect_uri, scope=self._scope, verifier=proof.verifier, state=state
        )

    async def check_issuer(self, issuer: str | None) -> None:
        # It has no issuer of its own in the configuration; its redirect URI, and the state, are no other's.
        return

    async def profile(self, code: str, proof: Proof, now: datetime) -> Profile:
        token = await self._http.exchange(
            self._token,
            code=code,
            verifier=proof.verifier,
            redirect_uri=proof.redirect_uri,
            method="client_secret_post",
        )
        access = token["access_token"]
        user, emails = await asyncio.gather(
            self._http.get_json(f"{self._api}/user", bearer=access),
            self._http.get_json(f"{self._api}/user/emails", bearer=access),
        )
        number = user.get("id") if isinstance(user, dict) else None
        if type(number) is not int or not 0 < number < 1 << 63 or not isinstance(emails, list):
            raise Refused("oauth_failed", "/user or /user/emails is malformed")
        entries = [entry for entry in emails if isinstance(entry, dict)]
        good = [entry for entry in entries if entry.get("primary") is True and entry.get("verified") is True]
        named = next(iter([*good, *entries]), {})
        return Profile(
            subject=str(number),
            email=_text(named.get("email"), 254),
            email_verified=bool(good),
            login=_text(user.get("login"), 64),
            name=_text(user.get("name"), 128),
            avatar_url=_https(user.get("avatar_url")),
        )


class OpenId:
    """An issuer of OpenID Connect, found by its metadata. Source: OpenID Connect Discovery 1.0."""

    def __init__(self, settings: ProviderSettings) -> None:
        issuer = settings.issuer or (GOOGLE if settings.kind == "google" else None)
        assert issuer is not None  # The configuration's check.
        self._issuer, self._client_id = issuer, settings.client_id
        self._scope = " ".join(settings.scopes or ["openid", "email", "profile"])
        secret = settings.client_secret.get_secret_value()
        self._http = ProviderClient(settings.client_id, secret, local=is_local(issuer))
        self._metadata: dict[str, Any] = {}
        self._read_at = float("-inf")
        self._keys = IssuerKeys(self._fetch_keys)

    async def authorize_url(self, proof: Proof, state: str) -> str:
        endpoint = await self._endpoint("authorization_endpoint")
        return self._http.authorization_url(
            endpoint,
            redirect_uri=proof.redirect_uri,
            scope=self._scope,
            verifier=proof.verifier,
            state=state,
            nonce=proof.nonce,
        )

    async def check_issuer(self, issuer: str | None) -> None:
        if issuer is None:
            if (await self._read()).get("authorization_response_iss_parameter_supported") is True:
                raise Refused("invalid_state", "the answer names no issuer")
        elif issuer != self._issuer:
            raise Refused("invalid_state", "the answer names another issuer")

    async def profile(self, code: str, proof: Proof, now: datetime) -> Profile:
        metadata = await self._read()
        methods = metadata.get("token_endpoint_auth_methods_supported")
        post = isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods
        token = await self._http.exchange(
            await self._endpoint("token_endpoint"),
            code=code,
            verifier=proof.verifier,
            redirect_uri=proof.redirect_uri,
            method="client_secret_post" if post else "client_secret_basic",
        )
        claims = await verify(
            token.get("id_token"),
            self._keys,
            issuer=self._issuer,
            client_id=self._client_id,
            nonce=proof.nonce,
            now=now,
        )
        subject = _text(claims["sub"], MAX_SUBJECT)
        if subject is None:
            raise Refused("oauth_failed", "the id_token names nobody")
        if "email" not in claims and metadata.get("userinfo_endpoint") is not None:
            claims = {**claims, **await self._userinfo(token["access_token"], subject)}
        return Profile(
            subject=subject,
            email=_text(claims.get("email"), 254),
            # Some issuers write it as text.
            email_verified=claims.get("email_verified") in (True, "true"),
            login=_text(claims.get("preferred_username"), 64),
            name=_text(claims.get("name"), 128),
            avatar_url=_https(claims.get("picture")),
        )

    async def _userinfo(self, access_token: str, subject: str) -> dict[str, Any]:
        info = await self._http.get_json(await self._endpoint("userinfo_endpoint"), bearer=access_token)
        # Source: OpenID Connect Core 1.0, 5.3.2: another subject means that it is another's.
        if not isinstance(info, dict) or info.get("sub") != subject:
            raise Refused("oauth_failed", "the userinfo is about somebody else")
        return {key: info[key] for key in _USERINFO if key in info}

    async def _endpoint(self, name: str) -> str:
        return self._http.check_url((await self._read()).get(name))

    async def _fetch_keys(self) -> Any:
        return await self._http.get_json(await self._endpoint("jwks_uri"))

    async def _read(self) -> dict[str, Any]:
        if monotonic() - self._read_at > METADATA_SECONDS:
            found = await self._http.get_json(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if not isinstance(found, dict) or found.get("issuer") != self._issuer:
                raise Refused("oauth_failed", "the metadata is that of another issuer than the configured one")
            self._metadata, self._read_at = found, monotonic()
        return self._metadata


def make(settings: ProviderSettings) -> Provider:
    """The provider of a table of the configuration."""
    return GitHub(settings) if settings.kind == "github" else OpenId(settings)


def _text(value: object, length: int) -> str | None:
    """What a database takes, or None."""
    return value if isinstance(value, str) and 0 < len(value) <= length and storable(value) else None


def _https(value: object) -> str | None:
    text = _text(value, 2048)
    plain = text is not None and text.startswith("https://") and text.isprintable() and " " not in text
    return text if plain else None
