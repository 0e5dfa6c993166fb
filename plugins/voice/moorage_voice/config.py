"""The plugin's settings: `[plugins.voice]`."""

from __future__ import annotations

from moorage.api import PluginConfig, server_url
from pydantic import Field, field_validator


class SttConfig(PluginConfig):
    """Speech to text."""

    url: str | None = Field(
        None,
        description="An eaRS server that clients are handed on to, instead of the engines inside.",
        examples=["ws://127.0.0.1:8765"],
    )
    engine: str | None = Field(
        None,
        description='Which engine listens: "moonshine", "pocketsphinx", or one of another plugin; null: the first of '
        "these that is installed.",
        examples=["moonshine"],
    )
    workers: int = Field(1, ge=1, le=64, description="Processes that an engine inside may run in.")
    idle_seconds: float = Field(
        300.0, gt=0, le=86_400, description="After which such a process ends when nobody is listened to."
    )
    vad: bool = Field(False, description="End what is listened to after a silence, and not only when a client says so.")
    vad_timeout: float = Field(1.5, ge=0.2, le=60, description="How long that silence is, in seconds of sound.")
    max_sessions: int = Field(4, ge=1, le=1000, description="People who are listened to at once; more are told so.")
    max_sessions_per_user: int = Field(2, ge=1, le=1000, description="Of these, one user's.")
    silent_seconds: float = Field(
        60.0, gt=0, le=3600, description="After which a speaker who sends no sound at all has finished."
    )
    max_seconds: float = Field(3600.0, gt=0, le=86_400, description="The longest that one connection is listened to.")

    @field_validator("url")
    @classmethod
    def check_url(cls, url: str | None) -> str | None:
        """A WebSocket's address."""
        return server_url(url, "ws", "wss") if url is not None else None


class TtsConfig(PluginConfig):
    """Text to speech."""

    url: str | None = Field(
        None,
        description="A kokorox server's WebSocket that clients are handed on to, instead of the engines inside.",
        examples=["ws://127.0.0.1:8766"],
    )
    http_url: str | None = Field(
        None, description="That server's HTTP, for /v1/audio.", examples=["http://127.0.0.1:3000"]
    )
    engine: str | None = Field(
        None,
        description='Which engine speaks: "pico", "espeak", or one of another plugin; null: all that are installed, of '
        "which the first speaks what it can.",
        examples=["pico"],
    )
    voice: str | None = Field(
        None, description="The voice of who has chosen none; null: the engine's first.", examples=["pico_en-gb"]
    )
    workers: int = Field(1, ge=1, le=64, description="Processes that an engine inside may run in.")
    idle_seconds: float = Field(
        300.0, gt=0, le=86_400, description="After which such a process ends when nothing is said."
    )
    max_sessions: int = Field(64, ge=1, le=10_000, description="Connections and requests at once; more are told so.")
    max_sessions_per_user: int = Field(8, ge=1, le=10_000, description="Of these, one user's.")
    max_text_bytes: int = Field(
        64 * 1024,
        ge=256,
        le=16 * 1024 * 1024,
        description="The longest text that is said at once, if `[server] max_frame_bytes` "
        "lets it in; a stream may be longer.",
    )

    @property
    def max_body(self) -> int:
        """Bytes of a request with the longest text: JSON may take six for one of them."""
        return 6 * self.max_text_bytes + 64 * 1024

    @field_validator("url")
    @classmethod
    def check_url(cls, url: str | None) -> str | None:
        """A WebSocket's address."""
        return server_url(url, "ws", "wss") if url is not None else None

    @field_validator("http_url")
    @classmethod
    def check_http_url(cls, url: str | None) -> str | None:
        """A server's address. /v1 is not part of it."""
        return server_url(url, "http", "https") if url is not None else None


class ClientConfig(PluginConfig):
    """What clients begin with, as `GET /api/features` tells them. They may let their users choose otherwise."""

    vad_timeout_ms: int = Field(
        1500, ge=100, le=60_000, description="The silence after which they take what was said for finished."
    )
    default_voice: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description='The voice; null: that of tts, else "af_heart".',
        examples=["af_sky"],
    )
    default_speed: float = Field(1.0, ge=0.1, le=3.0, description="How fast it speaks.")
    auto_language_detect: bool = Field(True, description="The language to be spoken is told from the text.")
    tts_muted: bool = Field(False, description="Answers are not read aloud until somebody asks for it.")
    continuous_mode: bool = Field(True, description="They listen again after each answer.")
    default_visualizer: str = Field("orb", max_length=64, description="What they show of a voice.")
    interrupt_word_count: int = Field(
        2, ge=0, le=100, description="Words by which somebody interrupts what is read aloud; 0: never."
    )
    interrupt_backoff_ms: int = Field(
        5000, ge=0, le=600_000, description="After an interruption, how long none is looked for."
    )
    visualizer_voices: dict[str, str] = Field(
        {}, description="A voice for each kind of what they show.", examples=[{"orb": "af_heart"}]
    )


class VoiceConfig(PluginConfig):
    """Who listens and who speaks: the engines inside, or servers elsewhere."""

    stt: SttConfig = Field(SttConfig(), description="Speech to text.")
    tts: TtsConfig = Field(TtsConfig(), description="Text to speech.")
    client: ClientConfig = Field(ClientConfig(), description="What clients begin with.")
