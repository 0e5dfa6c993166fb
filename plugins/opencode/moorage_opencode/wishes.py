"""What a client may ask for in a new session, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from moorage.api import Unavailable, ValidationFailed

from moorage_opencode import workload
from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.workload import DOCKER, PROCESS

NO_IMAGE = "No image is set for sessions: [plugins.opencode] image"


@dataclass(frozen=True, slots=True)
class Wish:
    """A session that is asked for; what is None is left to the server."""

    path: str | None = None
    name: str | None = None
    image: str | None = None
    agent: str | None = None
    runtime: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def where(self, config: OpenCodeConfig) -> tuple[str, str | None]:
        """The runtime and the image. ValidationFailed for what is not allowed, Unavailable when no image is set."""
        kind = self.runtime or config.runtime
        if kind != config.runtime and kind not in config.other_runtimes:
            raise _wrong("runtime", "is not one that may be asked for here: [plugins.opencode] other_runtimes")
        if kind == PROCESS:
            if self.image is not None:
                raise _wrong("image", "has no meaning in the runtime 'process'")
            return kind, None
        if self.image is not None and self.image != config.image and self.image not in config.other_images:
            raise _wrong("image", "is not one that may be asked for here: [plugins.opencode] other_images")
        image = self.image or config.image
        if image is None and kind == DOCKER:
            raise Unavailable(NO_IMAGE)
        return kind, image

    def check(self) -> None:
        """ValidationFailed for a wrong name, agent or variable."""
        if self.name is not None and not self.name.isprintable():
            raise _wrong("name", "holds characters that cannot be shown")
        if self.agent is not None:
            workload.agent(self.agent)
        workload.variables(self.env)


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(f"{name}: {message}", problems=[{"field": name, "message": message}])
