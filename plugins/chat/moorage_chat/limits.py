"""What users may use of models, by role and by user: who is let in, and what is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from moorage.api import Actor, Hub, TooManyRequests, Unauthorized

from moorage_chat.config import ChatConfig
from moorage_chat.figures import Figures
from moorage_chat.store import usage
from moorage_chat.store.usage import Allowed, Used

PER_MESSAGE = 4
"""Tokens that a message costs beside its text, about: its role and its borders."""
RETRY_RUNNING = 5
"""Seconds after which somebody with too many answers under way may ask again."""
_WORDS = {"messages_per_day": "messages", "tokens_per_day": "tokens"}


class QuotaExceeded(TooManyRequests):
    """A user has used what a day allows. details: {"limit": its name, "allowed": int, "used": int, "resets_at"}."""

    code = "QUOTA_EXCEEDED"

    def __init__(self, limit: Literal["messages_per_day", "tokens_per_day"], allowed: int, used: int) -> None:
        again = resets_at(datetime.now(UTC).date())
        wait = int((again - datetime.now(UTC)).total_seconds()) + 1
        text = f"You have used up the {allowed} {_WORDS[limit]} that you may use in a day, which ends at midnight UTC"
        super().__init__(text, retry_after=wait)
        # OpenAI's SDKs ask again after any 429 unless this says that it is of no use.
        self.headers["X-Should-Retry"] = "false"
        self.details |= {"limit": limit, "allowed": allowed, "used": used, "resets_at": again.isoformat()}


class Admission:
    """One answer that was let in and counted. It ends by one `settle` or `release`; what comes after does nothing.

    Both may be called while the task is being cancelled. When the database fails, they raise and can be called again.
    """

    def __init__(self, limits: Limits, user_id: int, day: date, *, running: bool) -> None:
        self._limits, self._user_id, self._day = limits, user_id, day
        self._running, self._over = running, False

    async def settle(self, provider: str, model: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Count the tokens of an answer, however it ended, for the day on which it began."""
        if self._end():
            return
        used = Used(1, max(0, prompt_tokens), max(0, completion_tokens))
        hub = self._limits.hub
        try:
            async with hub.db.transaction():
                await usage.count(hub, self._user_id, self._day, Used(0, used.tokens_in, used.tokens_out))
                await usage.count(hub, self._user_id, self._day, used, provider, model)
        except BaseException:
            self._over = False
            raise

    async def release(self) -> None:
        """Take the count back: no provider was asked."""
        if self._end():
            return
        try:
            async with self._limits.hub.db.transaction():
                await usage.count(self._limits.hub, self._user_id, self._day, Used(messages=-1))
        except BaseException:
            self._over = False
            raise

    def undone(self) -> None:
        """The transaction in which it was settled or released was undone: it can be, once more."""
        self._over = False

    def drop(self) -> None:
        """It was settled elsewhere: only the place is given back."""
        self._end()

    def _end(self) -> bool:
        """Give the place back. Whether it had ended before."""
        over, self._over = self._over, True
        if self._running:
            self._running = False
            self._limits.left(self._user_id)
        return over


class Limits:
    """Decides whether a user may have one more answer. One object for all: chat and /v1 count together.

    The day's numbers are in the database and hold over all servers; `max_running_per_user` is counted by each server.
    """

    def __init__(self, hub: Hub, config: ChatConfig) -> None:
        self.hub, self._config, self._figures = hub, config, Figures(hub)
        self._running: dict[int, int] = {}

    async def admit(self, actor: Actor) -> Admission:
        """Count one more answer of a user, before any provider is asked.

        QuotaExceeded (429, QUOTA_EXCEEDED) when the day's messages or tokens are used up; TooManyRequests (429,
        RATE_LIMITED) when too many of theirs are under way. An answer that was let in may go on past the day's tokens.
        """
        user = actor.user
        if user is None:
            raise Unauthorized
        most = self._config.max_running_per_user
        if self._running.get(user.id, 0) >= most:
            self._figures.refused("running")
            raise TooManyRequests(
                f"You have {most} answers under way, which is as many as are allowed at once", retry_after=RETRY_RUNNING
            )
        self._running[user.id] = self._running.get(user.id, 0) + 1  # Before the first await: others wait there too.
        day = datetime.now(UTC).date()
        try:
            async with self.hub.db.transaction():
                used, own = await usage.count_one(self.hub, user.id, day)
                limits = self.of_role(user.role) if own is None else own
                if limits.messages_per_day is not None and used.messages >= limits.messages_per_day:
                    raise QuotaExceeded("messages_per_day", limits.messages_per_day, used.messages)
                if limits.tokens_per_day is not None and used.tokens >= limits.tokens_per_day:
                    raise QuotaExceeded("tokens_per_day", limits.tokens_per_day, used.tokens)
        except BaseException as error:
            self.left(user.id)
            if isinstance(error, QuotaExceeded):
                self._figures.refused(error.details["limit"])
            raise
        return Admission(self, user.id, day, running=True)

    def interrupted(self, user_id: int, began: datetime) -> Admission:
        """The admission of an answer that a server which is gone had let in, to settle it."""
        return Admission(self, user_id, began.astimezone(UTC).date(), running=False)

    async def spend(self, user_id: int, provider: str, model: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Count tokens that were used beside an answer: for a title."""
        used, day = Used(0, max(0, prompt_tokens), max(0, completion_tokens)), datetime.now(UTC).date()
        async with self.hub.db.transaction():
            await usage.count(self.hub, user_id, day, used)
            await usage.count(self.hub, user_id, day, used, provider, model)

    def of_role(self, role: str) -> Allowed:
        """What users of a role may use in a day."""
        found = self._config.limits.get(role)
        return Allowed() if found is None else Allowed(found.messages_per_day, found.tokens_per_day)

    def running(self, user_id: int) -> int:
        """How many answers of a user are under way on this server."""
        return self._running.get(user_id, 0)

    @property
    def under_way(self) -> int:
        """How many answers of all users are under way on this server."""
        return sum(self._running.values())

    def left(self, user_id: int) -> None:
        """One of them has ended. For `Admission`."""
        left = self._running.get(user_id, 0) - 1
        if left > 0:
            self._running[user_id] = left
        else:
            self._running.pop(user_id, None)

    def check(self) -> None:
        """Warn of limits of roles that there are not: they limit nobody."""
        for role in self._config.limits:
            if not self.hub.access.is_role(role):
                self.hub.log.warning("limits of a role that does not exist", role=role)


def resets_at(day: date) -> datetime:
    """When a day's numbers begin anew."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def estimate(text: str) -> int:
    """About how many tokens a text has, where a provider does not count: one for four bytes of UTF-8.

    English has some four letters to a token; a character of three bytes (Chinese, Japanese …) is about one.
    """
    return estimate_bytes(len(text.encode("utf-8", "surrogatepass")))


def estimate_bytes(size: int) -> int:
    """The same for a text of so many bytes."""
    return -(-size // 4)


def estimate_prompt(messages: Iterable[Mapping[str, Any]]) -> int:
    """The same for messages as OpenAI's chat completions have them."""
    return sum(PER_MESSAGE + estimate(text_of(message.get("content"))) for message in messages)


def text_of(content: Any) -> str:
    """The text in the content of a message: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
