"""A provider of identities in a process of its own: OpenID Connect, and GitHub's OAuth beside it.

It checks what a client has to send (PKCE, redirect URI, client secret, one use of a code) and answers as it is told
by `IdentityProvider.tell`, wrongly too. Run as a program: `identity_provider.py PORT`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

CLIENT_ID, CLIENT_SECRET = "moorage-test", "s3cret-of-the-client"
PERSON = {
    "sub": "42",
    "email": "pat@example.org",
    "email_verified": True,
    "name": "Pat Doe",
    "picture": "https://x.test/p",
}
GITHUB = {
    "user": {"id": 4711, "login": "pat-doe", "name": "Pat Doe", "avatar_url": "https://x.test/a"},
    "emails": [{"email": "pat@example.org", "primary": True, "verified": True}],
}


class IdentityProvider:
    """Starts one, and tells it how to answer. `issuer` is its address."""

    def __init__(self, folder: Path) -> None:
        # Here, because the program itself is run without the tests' path.
        from realparts.child import Child
        from realparts.ports import free_port

        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._child = Child([sys.executable, __file__, str(self.port)], folder / "provider.log")
        self._child.wait_until(self._ready, "identity provider")

    def tell(self, **more: Any) -> None:
        """Forget what it was told, and its codes and log; then: person, claims, header, sign, metadata, faults …"""
        httpx.post(f"{self.issuer}/control", json=more).raise_for_status()

    def heard(self, path: str) -> list[dict[str, Any]]:
        """What was sent to a path: its query or form, and whether the client proved itself how."""
        return [one for one in httpx.get(f"{self.issuer}/control").json() if one["path"] == path]

    def stop(self) -> None:
        self._child.stop()

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.issuer}/jwks").status_code == 200
        except httpx.TransportError:
            return False


class State:
    """What the program knows."""

    def __init__(self) -> None:
        from joserfc.jwk import RSAKey

        self.keys = {name: RSAKey.generate_key(2048, {"kid": name, "use": "sig"}) for name in ("one", "two", "evil")}
        self.reset({})

    def reset(self, told: dict[str, Any]) -> None:
        self.told = told
        self.codes: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.log: list[dict[str, Any]] = []

    @property
    def person(self) -> dict[str, Any]:
        return {**PERSON, **self.told.get("person", {})}

    @property
    def github(self) -> dict[str, Any]:
        return {**GITHUB, **self.told.get("github", {})}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    state: State

    def do_GET(self) -> None:
        self._answer({key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if urlsplit(self.path).path == "/control":
            self.state.reset(json.loads(body))
            return self._json({})
        return self._answer({key: values[0] for key, values in parse_qs(body.decode()).items()})

    def _answer(self, given: dict[str, str]) -> None:
        path = urlsplit(self.path).path
        if path == "/control":
            return self._json(self.state.log)
        self.state.log.append({"path": path, **given, "authorization": self.headers.get("authorization", "")})
        fault = self.state.told.get("faults", {}).get(path)
        if fault is not None:
            return self._fail(fault)
        view = {
            "/.well-known/openid-configuration": self._metadata,
            "/jwks": self._jwks,
            "/authorize": self._authorize,
            "/token": self._token,
            "/userinfo": self._userinfo,
            "/login/oauth/authorize": self._authorize,
            "/login/oauth/access_token": self._token,
            "/api/v3/user": self._userinfo,
            "/api/v3/user/emails": self._userinfo,
        }.get(path)
        return self._json({"error": "not_found"}, 404) if view is None else view(given)

    def _fail(self, fault: str) -> None:
        if fault == "500":
            return self._json({"error": "boom"}, 500)
        if fault == "malformed":
            return self._send(b'{"half":', "application/json")
        if fault == "deep":
            return self._send(b"[" * 200_000 + b"]" * 200_000, "application/json")
        if fault == "list":
            return self._json([1])
        if fault == "huge":
            return self._send(b'{"pad":"' + b"x" * (2 << 20) + b'"}', "application/json")
        if fault == "slow":
            time.sleep(60)
        if fault.startswith("redirect:"):
            return self._send(b"", "text/plain", 302, {"Location": fault.removeprefix("redirect:")})
        self.close_connection = True
        return self.connection.shutdown(socket.SHUT_RDWR)

    def _issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def _metadata(self, given: dict[str, str]) -> None:
        issuer = self._issuer()
        found = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "jwks_uri": f"{issuer}/jwks",
        }
        self._json({**found, **self.state.told.get("metadata", {})})

    def _jwks(self, given: dict[str, str]) -> None:
        if "jwks" in self.state.told:
            return self._json(self.state.told["jwks"])
        names = self.state.told.get("keys", ["one"])
        self._json({"keys": [self.state.keys[name].as_dict(private=False) for name in names]})
        return None

    def _authorize(self, given: dict[str, str]) -> None:
        good = given.get("response_type") == "code" and given.get("client_id") == CLIENT_ID
        if not good or given.get("code_challenge_method") != "S256" or len(given.get("code_challenge", "")) != 43:
            return self._json({"error": "invalid_request"}, 400)
        back = {"state": given["state"], **self.state.told.get("back", {})}
        if "error" not in back:
            code = secrets.token_urlsafe(16)
            self.state.codes[code] = given
            back = {"code": code, **back}
        return self._send(b"", "text/plain", 302, {"Location": f"{given['redirect_uri']}?{urlencode(back)}"})

    def _token(self, given: dict[str, str]) -> None:
        asked = self.state.codes.pop(given.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if asked is None or asked["code_challenge"] != challenge.rstrip(b"=").decode():
            return self._json({"error": "invalid_grant"}, 400)
        if given.get("redirect_uri") != asked["redirect_uri"] or not self._client_is_known(given):
            return self._json({"error": "invalid_client"}, 401)
        access = secrets.token_urlsafe(16)
        self.state.tokens[access] = asked
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": 60}
        if "nonce" in asked:
            answer["id_token"] = self._id_token(asked["nonce"])
        return self._json(answer)

    def _client_is_known(self, given: dict[str, str]) -> bool:
        kind, _, text = self.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            return base64.b64decode(text).decode() == f"{CLIENT_ID}:{CLIENT_SECRET}"
        return (given.get("client_id"), given.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)

    def _id_token(self, nonce: str) -> str:
        from joserfc import jwt
        from joserfc.jwk import OctKey

        told, now = self.state.told, int(time.time())
        person = {} if told.get("slim") else self.state.person
        claims = {
            "iss": self._issuer(),
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 60,
            "nonce": nonce,
            "sub": self.state.person["sub"],
            **person,
            **told.get("claims", {}),
        }
        claims = {key: value for key, value in claims.items() if value is not None}
        sign = told.get("sign", "one")
        if sign == "none":
            parts = [json.dumps(part).encode() for part in ({"alg": "none", "kid": "one"}, claims)]
            return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."
        if sign == "hmac":  # With the public key as the secret.
            key = OctKey.import_key(self.state.keys["one"].as_pem(private=False))
            return jwt.encode({"alg": "HS256", "kid": "one"}, claims, key)
        header = {"alg": "RS256", "kid": sign, **told.get("header", {})}
        return jwt.encode(header, claims, self.state.keys[sign], algorithms=["RS256", "PS256"])

    def _userinfo(self, given: dict[str, str]) -> None:
        if self.headers.get("authorization", "").partition(" ")[2] not in self.state.tokens:
            return self._json({"error": "invalid_token"}, 401)
        path = urlsplit(self.path).path
        if path == "/userinfo":
            return self._json({**self.state.person, **self.state.told.get("userinfo", {})})
        return self._json(self.state.github["emails" if path.endswith("emails") else "user"])

    def _json(self, data: Any, status: int = 200) -> None:
        self._send(json.dumps(data).encode(), "application/json", status)

    def _send(self, body: bytes, kind: str, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        return


def main() -> None:
    """Serve until killed."""
    Handler.state = State()
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
