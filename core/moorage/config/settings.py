"""The settings: every key of the configuration with its type, default and a line of why.

The descriptions are the text of `config/moorage.toml` and of the reference; a key without one fails a test.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from moorage.config.redirects import redirect_problem
from moorage.config.values import (
    ConfigPath,
    Issuer,
    ListenList,
    LowerCase,
    MountList,
    NetworkList,
    Origin,
    OriginList,
    Rate,
    TextList,
)

MASK_URL: dict[str, Any] = {"mask": "url"}
"""Marks a secret URL of which all but the password may be shown."""
NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
COOKIE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86400, allow_inf_nan=False)]
Positive = Annotated[int, Field(gt=0)]


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("a name has small letters, digits, `-` and `_`, and begins with a letter")
    return text


def _cookie_name(text: str) -> str:
    if not COOKIE_NAME.fullmatch(text):
        raise ValueError("a cookie's name has letters, digits, `-` and `_`")
    if text.startswith(("__Host-", "__Secure-")):
        raise ValueError("leave the prefix out; it is added where the connection is safe")
    return text


def _sqlite_or_postgres(url: SecretStr) -> SecretStr:
    scheme = url.get_secret_value().partition("://")[0]
    if "://" not in url.get_secret_value() or scheme not in ("sqlite", "postgres", "postgresql"):
        raise ValueError('write "sqlite://FILE" or "postgres://USER:PASSWORD@HOST:5432/NAME"')
    return url


def _redis_scheme(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError('write "redis://HOST:6379/0", or "rediss://…" for TLS')
    return url


def _long_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 32:
        raise ValueError("needs at least 32 characters; `openssl rand -base64 48` makes a good one")
    return secret


Name = Annotated[str, AfterValidator(_name)]


class Section(BaseModel):
    """A table of the configuration: unknown keys are refused, values are frozen, defaults are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ServerSettings(Section):
    """`[server]`: listeners, sizes and times."""

    listen: ListenList = Field(
        ["127.0.0.1:8000"],
        description='Where to listen: "host:port", "[v6]:port" or "unix:/path", one or more.',
    )
    engine: Literal["hypercorn", "uvicorn"] = Field(
        "hypercorn",
        description='The ASGI server. "uvicorn" is faster and speaks no HTTP/2; it needs the extra `fast`.',
    )
    public_url: Origin | None = Field(
        None,
        description="Scheme and host as clients see them; set it behind a reverse proxy, links and cookies follow it.",
        examples=["https://moorage.example.org"],
    )
    trusted_proxies: NetworkList = Field(
        [],
        description="Addresses and networks of reverse proxies whose X-Forwarded-* headers are believed.",
        examples=[["127.0.0.1", "10.0.0.0/8"]],
    )
    trusted_origins: OriginList = Field(
        [],
        description="Other web origins whose pages may use cookies here. The server's own is always trusted.",
        examples=[["https://app.example.org"]],
    )
    tls_cert: ConfigPath | None = Field(
        None,
        description="PEM file with the certificate and its chain; together with tls_key it turns on TLS and HTTP/2.",
        examples=["/etc/moorage/tls.crt"],
    )
    tls_key: ConfigPath | None = Field(
        None, description="PEM file with the certificate's private key.", examples=["/etc/moorage/tls.key"]
    )
    max_body_bytes: Positive = Field(
        10 * 1024 * 1024, description="The largest request body, unless a route allows more; beyond it, 413."
    )
    max_header_bytes: Annotated[int, Field(ge=1024)] = Field(
        32 * 1024, description="The largest block of request headers; beyond it, 431."
    )
    max_url_bytes: Annotated[int, Field(ge=256)] = Field(
        8 * 1024, description="The longest request target (path and query); beyond it, 414."
    )
    max_frame_bytes: Annotated[int, Field(ge=1024)] = Field(
        1024 * 1024, description="The largest WebSocket message that a client may send; beyond it, close 1009."
    )
    max_sockets_per_user: Positive = Field(
        200,
        description="WebSockets and endless streams that one user (or one address that is not signed in) may "
        "have open at once; beyond it, 429.",
    )
    max_json_depth: Annotated[int, Field(ge=4, le=500)] = Field(
        64, description="How deep JSON bodies may nest; deeper ones are refused before they are read into objects."
    )
    request_timeout: Seconds = Field(
        60.0, description="Seconds until a request is given up with 504. Streams and sockets have their own rules."
    )
    drain_timeout: Seconds = Field(
        10.0, description="Seconds that requests in hand get to finish when the server stops."
    )
    plugin_import_timeout: Seconds = Field(10.0, description="Seconds that the import of one plugin may take.")
    plugin_start_timeout: Seconds = Field(30.0, description="Seconds that the start of one plugin may take.")
    plugin_stop_timeout: Seconds = Field(10.0, description="Seconds that draining or stopping one plugin may take.")
    access_log: bool = Field(True, description="Write one line per request. It never holds tokens or query strings.")
    ws_ping_interval: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        15.0, description="Seconds between pings on WebSockets, to find clients that have gone; 0 sends none."
    )


class DatabaseSettings(Section):
    """`[database]`: the one database."""

    url: Annotated[SecretStr, AfterValidator(_sqlite_or_postgres)] = Field(
        SecretStr("sqlite://moorage.db"),
        description='"sqlite://FILE" (a relative file lies in data_dir) or "postgres://USER:PASSWORD@HOST:5432/NAME".',
        json_schema_extra=MASK_URL,
    )
    pool_min: Annotated[int, Field(ge=0, le=1000)] = Field(
        1, description="Connections that are kept open (PostgreSQL)."
    )
    pool_max: Annotated[int, Field(ge=1, le=1000)] = Field(
        10, description="The most connections that are opened (PostgreSQL)."
    )


class RedisSettings(Section):
    """`[redis]`: what several servers share."""

    url: Annotated[SecretStr, AfterValidator(_redis_scheme)] | None = Field(
        None,
        description="Shared limits and events; needed only when several servers run on one database.",
        examples=["redis://127.0.0.1:6379/0"],
        json_schema_extra=MASK_URL,
    )


class LimitsSettings(Section):
    """`[limits]`: how often anybody may ask."""

    enabled: bool = Field(True, description="Count requests and answer 429 beyond the limits.")
    storage: Literal["memory", "redis"] = Field(
        "memory", description='Where counts live: "memory" (this server alone) or "redis" (all servers together).'
    )
    general: Rate = Field("200/minute", description="Requests of one address, and of one user.")
    proxied: Rate = Field(
        "3000/minute",
        description="Requests of one address, and of one user, for what sessions have: OpenCode and files.",
    )
    authentication: Rate = Field(
        "60/minute", description="Logins and other requests that prove an identity, of one address."
    )
    user: Rate | None = Field(
        None, description="Requests of one user over all addresses, if not the general rate.", examples=["600/minute"]
    )
    key: Rate | None = Field(
        None, description="Requests with one API key, counted beside its user's.", examples=["600/minute"]
    )


class ProviderSettings(Section):
    """`[accounts.providers.NAME]`: a place elsewhere where people may log in."""

    kind: Literal["github", "google", "oidc"] = Field(
        "oidc", description='"github", "google", or "oidc" for any other issuer of OpenID Connect.'
    )
    label: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="What the button on the login page says; unset, the provider's name."
    )
    client_id: Annotated[str, Field(min_length=1, max_length=512)] = Field(
        ..., description="The client id that the provider gave to this server.", examples=["Iv1.0123456789abcdef"]
    )
    client_secret: SecretStr = Field(
        ..., description="The client secret; keep it in a file of its own with client_secret_file."
    )
    issuer: Issuer | None = Field(
        None,
        description="The issuer of an OpenID Connect provider, exactly as its metadata says it. For GitHub, the "
        "address of an Enterprise server.",
        examples=["https://login.example.org/realms/main"],
    )
    scopes: TextList = Field([], description="Scopes to ask for; unset, what the kind needs to know an e-mail address.")
    register_new: Literal["invite", "open"] = Field(
        "invite",
        description='Who may get an account here by logging in there: "invite" asks for an invitation, "open" lets '
        "everybody in whose verified e-mail address belongs to one of `domains` (to any, if there are none).",
    )
    domains: TextList = Field(
        [], description="Domains of e-mail addresses that may log in; empty, all.", examples=[["example.org"]]
    )
    role: Name = Field("viewer", description='The role of users that register_new = "open" makes.')


class DeviceSettings(Section):
    """`[accounts.device]`: logging in programs without a browser (RFC 8628)."""

    clients: TextList = Field(
        [],
        description="The client ids that may ask for a device login; empty, any.",
        examples=[["orbital-cli"]],
    )
    code_seconds: Annotated[int, Field(ge=60, le=86400)] = Field(
        1800, description="How long a device waits for approval."
    )
    interval: Annotated[int, Field(ge=1, le=60)] = Field(
        5, description="Seconds between two polls of a device; a client that asks more often is slowed down."
    )
    token_seconds: Annotated[int, Field(ge=3600)] = Field(
        7 * 86400, description="How long an access token of a device holds; its refresh token gives a new one."
    )


class OAuthClientSettings(Section):
    """`[accounts.oauth.clients.ID]`: a program that the operator knows."""

    name: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None, description="What people are told that asks; unset, the client id."
    )
    redirect_uris: TextList = Field(
        ...,
        description="Where codes may be sent: https, http on loopback (with any port), or a program's own scheme.",
        examples=[["https://app.example.org/callback"]],
    )
    secret: Annotated[SecretStr, AfterValidator(_long_secret)] | None = Field(
        None, description="The client's secret; unset, it is a public client, as programs on people's computers are."
    )


class OAuthSettings(Section):
    """`[accounts.oauth]`: letting programs in at resources such as MCP endpoints (OAuth 2.1)."""

    enabled: bool = Field(
        True, description="Let people let programs in; false leaves such URLs to API keys and other tokens."
    )
    register_clients: bool = Field(
        True,
        description="Let programs register themselves (RFC 7591), as many MCP clients do. Nothing is given to one "
        "before a person has allowed it.",
    )
    max_clients: Annotated[int, Field(ge=10, le=1_000_000)] = Field(
        1000, description="Programs that are registered at once; those that nobody let in make room first."
    )
    client_documents: bool = Field(
        True, description="Take programs whose client id is the https URL of a document that describes them."
    )
    document_hosts: TextList = Field(
        [],
        description="Hosts whose documents may be fetched from private addresses as well; all others must have "
        "addresses of the internet.",
        examples=[["clients.example.internal"]],
    )
    redirect_schemes: TextList = Field(
        ["cursor", "vscode", "vscode-insiders"],
        description="Schemes of programs that codes may be sent to, beside those that have a domain's dots.",
    )
    token_seconds: Annotated[int, Field(ge=60, le=86400)] = Field(
        3600, description="How long an access token holds; its refresh token gives a new one."
    )
    clients: dict[Name, OAuthClientSettings] = Field(
        {}, description="Programs that you know, one table each: people are not warned of them."
    )

    @model_validator(mode="after")
    def _good_redirects(self) -> OAuthSettings:
        for name, client in self.clients.items():
            for uri in client.redirect_uris or [""]:
                if problem := redirect_problem(uri, self.redirect_schemes):
                    raise ValueError(f"client {name}: {uri!r}: {problem}")
        return self


class AccountsSettings(Section):
    """`[accounts]`: sessions, passwords and the delay after wrong ones."""

    secret_key: Annotated[SecretStr, AfterValidator(_long_secret)] | None = Field(
        None,
        description="What invite codes and signing keys are encrypted with, at least 32 characters. Unset, a random "
        "one is kept in data_dir/secret.key. Several servers on one database need the same.",
        examples=["at-least-32-characters-that-nobody-can-guess"],
    )
    cookie_name: Annotated[str, AfterValidator(_cookie_name)] = Field(
        "moorage_session", description="Name of the session cookie; over https it is prefixed with __Host-."
    )
    session_idle_seconds: Annotated[int, Field(ge=60)] = Field(
        7 * 86400, description="A session that is not used for so long ends."
    )
    session_max_seconds: Annotated[int, Field(ge=60)] = Field(
        30 * 86400, description="A session ends after so long, used or not."
    )
    session_cache_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        1.0,
        description="How long a proven credential is kept in memory. Revocation by this server bites at once; "
        "a change made by another process is seen after at most so long.",
    )
    jwt_seconds: Annotated[int, Field(ge=60, le=30 * 86400)] = Field(
        86400, description="How long a JWT holds, at most as long as the session that it stands for."
    )
    jwt_cookie_name: Annotated[str, AfterValidator(_cookie_name)] = Field(
        "auth_token", description="Name of the cookie with the JWT that Octo's clients look for."
    )
    introspect_secret: SecretStr | None = Field(
        None,
        description="What callers of POST /api/v1/auth/introspect send as X-Introspect-Secret. Unset, only callers on "
        "this machine may ask.",
    )
    token_in_path: bool = Field(
        True,
        description="Serve GET /api/me/TOKEN, as Orbital's document has it. Tokens in addresses get into logs and "
        "histories of what lies between; false answers 410.",
    )
    device: DeviceSettings = Field(
        default_factory=DeviceSettings, description="Logging in programs that have no browser (RFC 8628)."
    )
    oauth: OAuthSettings = Field(
        default_factory=OAuthSettings, description="Letting programs in at resources such as MCP endpoints (OAuth 2.1)."
    )
    providers: dict[Name, ProviderSettings] = Field(
        {}, description="Where people may log in from: GitHub, Google, any OpenID Connect provider; one table each."
    )
    password_min_length: Annotated[int, Field(ge=1, le=128)] = Field(
        8, description="The fewest characters of a new password."
    )
    argon2_memory_kib: Annotated[int, Field(ge=8, le=4 * 1024 * 1024)] = Field(
        19456, description="Memory of one password hash (argon2id)."
    )
    argon2_time: Annotated[int, Field(ge=1, le=100)] = Field(2, description="Passes over that memory.")
    argon2_parallelism: Annotated[int, Field(ge=1, le=64)] = Field(1, description="Lanes of one hash.")
    argon2_threads: Annotated[int, Field(ge=1, le=64)] = Field(
        2, description="Password hashes that are computed at once; further logins wait their turn."
    )
    lockout_threshold: Annotated[int, Field(ge=1)] = Field(
        5, description="Wrong passwords in a row (per account, and per address) before logins are delayed."
    )
    lockout_base_seconds: Seconds = Field(1.0, description="The first delay; each further failure doubles it.")
    lockout_max_seconds: Seconds = Field(900.0, description="The longest delay.")


class RoleSettings(Section):
    """`[access.roles.NAME]`: a role of your own."""

    includes: Name | None = Field(None, description="The role whose rights this one starts from.", examples=["viewer"])
    grants: TextList = Field(
        [], description='Permissions that are added: "tmux:session:input", "core:key:read:any", "tmux:*".'
    )
    denies: TextList = Field([], description="Permissions that are taken away again; a denial beats every grant.")


class AccessSettings(Section):
    """`[access]`: roles beside owner, admin, operator and viewer."""

    roles: dict[Name, RoleSettings] = Field(
        {}, description="Roles of your own, one table each, beside owner > admin > operator > viewer."
    )


class LogSettings(Section):
    """`[log]`: what is written to stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error"], LowerCase] = Field(
        "info", description="The least that is written: debug, info, warning or error."
    )
    format: Annotated[Literal["auto", "json", "console"], LowerCase] = Field(
        "auto", description='"console" for people, "json" for machines; "auto" chooses by whether stderr is a terminal.'
    )


class ProcessSettings(Section):
    """`[runtimes.process]`: workloads as processes of this machine."""

    enabled: bool = Field(True, description="Let plugins run programs as processes of this machine.")
    isolation: Literal["auto", "bubblewrap", "none"] = Field(
        "auto",
        description='"bubblewrap" hides the machine from workloads; "auto" uses it where it is installed and works, '
        'and says in /health where it does not; "none" gives workloads the rights of the server\'s own user.',
    )
    ports: Annotated[str, Field(pattern=r"^\d{1,5}-\d{1,5}$")] = Field(
        "41820-45819", description="Ports of loopback that workloads may be given."
    )


class DockerSettings(Section):
    """`[runtimes.docker]`: workloads as containers."""

    enabled: bool = Field(False, description="Let plugins run containers of a Docker engine.")
    url: Annotated[str, Field(pattern=r"^(unix:///.+|tcp://.+|https?://.+)$")] = Field(
        "unix:///var/run/docker.sock",
        description="The engine's address; Podman's and a rootless engine's sockets will do.",
    )
    network: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        "bridge",
        description="The network of containers, made beforehand unless it is one of Docker's own; never the host's.",
    )
    reach: Literal["published", "address"] = Field(
        "published",
        description='How ports are reached: "published" on 127.0.0.1, which needs the engine on the server\'s own '
        'machine; or at the container\'s "address" on the network, for a server that is in a container itself.',
    )
    read_only: bool = Field(
        True, description="Containers cannot write to their image's files, only to mounts and to /tmp, /var/tmp, /run."
    )
    user: Annotated[str, Field(max_length=64)] = Field(
        "", description='Who programs are inside containers: "UID:GID"; empty: the server\'s own numbers.'
    )
    timeout: Seconds = Field(30.0, description="Seconds that the engine may take to answer.")
    threads: Annotated[int, Field(ge=2, le=64)] = Field(8, description="Calls to the engine at the same time.")

    @field_validator("network")
    @classmethod
    def _apart(cls, network: str) -> str:
        if network == "host" or network.startswith(("container:", "ns:")):
            raise ValueError("containers must have a network of their own: a bridge, or one that you made")
        return network


class RuntimesSettings(Section):
    """`[runtimes]`: what runs the workloads of plugins."""

    on_stop: Literal["keep", "stop"] = Field(
        "keep",
        description='"keep": workloads go on while the server is stopped and found again; "stop": they end with it.',
    )
    process: ProcessSettings = Field(default_factory=ProcessSettings, description="Workloads as processes.")
    docker: DockerSettings = Field(default_factory=DockerSettings, description="Workloads as containers.")


class PluginSection(Section):
    """`[plugins.NAME]`: the core's keys; every other key is an option that the plugin's own model checks."""

    enabled: bool = Field(False, description="Run this plugin. Nothing runs that is not enabled.")
    required: bool = Field(
        False, description="Stop the server (exit code 3) if this plugin fails, instead of running without it."
    )
    mount: MountList | None = Field(
        None,
        description='Where it is served: "/", "/path", ":port/", "//host/", or a list; unset, as the plugin wishes.',
    )
    options: dict[str, Any] = Field({}, description="The plugin's own keys.", repr=False)

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = {key: value for key, value in data.items() if key in CORE_PLUGIN_KEYS}
        rest = {key: value for key, value in data.items() if key not in CORE_PLUGIN_KEYS and key != "options"}
        given = data.get("options", {})
        return {**known, "options": {**given, **rest} if isinstance(given, dict) else given}


CORE_PLUGIN_KEYS = ("enabled", "required", "mount")


class Settings(Section):
    """All settings. Frozen; a reload makes a new one."""

    data_dir: ConfigPath = Field(
        Path("data"),
        description="Everything that the server writes lives here. Relative to this file's folder.",
    )
    server: ServerSettings = Field(default_factory=ServerSettings, description="Listeners, sizes and times.")
    database: DatabaseSettings = Field(default_factory=DatabaseSettings, description="The one database.")
    redis: RedisSettings = Field(default_factory=RedisSettings, description="What several servers share.")
    limits: LimitsSettings = Field(default_factory=LimitsSettings, description="How often anybody may ask.")
    accounts: AccountsSettings = Field(
        default_factory=AccountsSettings, description="Sessions, passwords and the delay after wrong ones."
    )
    access: AccessSettings = Field(default_factory=AccessSettings, description="Roles of your own.")
    runtimes: RuntimesSettings = Field(
        default_factory=RuntimesSettings, description="What runs the workloads of plugins."
    )
    log: LogSettings = Field(default_factory=LogSettings, description="What is written to stderr.")
    plugins: dict[Name, PluginSection] = Field(
        {}, description="One table per plugin; a plugin that is not enabled is not even imported."
    )
