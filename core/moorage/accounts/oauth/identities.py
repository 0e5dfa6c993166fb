"""Whose account an identity opens: known, linked by a verified address, or a new user's.

All inside of the caller's transaction. Nobody becomes owner here: the setup token makes the first one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tortoise.exceptions import IntegrityError

from moorage.access import Actor
from moorage.accounts.invites import InviteRefused, Invites
from moorage.accounts.models import ApiKey, Identity, Invite, User
from moorage.accounts.names import MAX_NAME, check_email, check_name, folded
from moorage.accounts.oauth.profile import Profile
from moorage.accounts.oauth.refusals import Refused
from moorage.accounts.registration import free_username, username_of
from moorage.accounts.secrets import new_pid
from moorage.accounts.shared import Shared
from moorage.accounts.users import Users
from moorage.config.settings import ProviderSettings
from moorage.errors import Conflict, NotFound, ValidationFailed

_INVITE_CODES = {
    "not_found": "invalid_invite",
    "revoked": "invalid_invite",
    "expired": "invite_expired",
    "exhausted": "invite_exhausted",
}


@dataclass(frozen=True, slots=True)
class IdentityInfo:
    """An identity as its user sees it."""

    id: int
    pid: str
    provider: str
    email: str | None
    created_at: datetime
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """Whose account it is. linked: the identity is new to them. invite: the one that a new user came in by."""

    user: User
    identity: Identity
    linked: bool = False
    created: bool = False
    invite: Invite | None = None


class Identities:
    """The rows of `core_identities`."""

    def __init__(self, shared: Shared, users: Users, invites: Invites) -> None:
        self._shared, self._users, self._invites = shared, users, invites

    async def resolve(self, provider: str, settings: ProviderSettings, profile: Profile, invite: str | None) -> Found:
        """The user that this profile logs in, made or linked if need be. Refused."""
        email = verified_email(settings, profile)
        known = await Identity.filter(provider=provider, subject=profile.subject).first()
        if known is not None:
            user = await _locked(known.user_id)
            await self._refresh(known, profile)
            await self._fill(user, profile, email)
            return Found(user, known)
        if email is None:
            raise Refused("no_email" if profile.email is None else "email_not_verified")
        same = await User.filter(email_key=folded(email)).first()
        if same is None:
            return await self._create(provider, settings, profile, email, invite)
        user = await _locked(same.id)
        if not await _address_is_proven(user):
            raise Refused("account_exists", "an account with this address exists that did not prove it")
        identity = await self._insert(provider, user, profile)
        await self._fill(user, profile, email)
        return Found(user, identity, linked=True)

    async def link(self, provider: str, settings: ProviderSettings, profile: Profile, user_id: int) -> Found:
        """Add an identity to a user who is signed in; one that is theirs already changes nothing. Refused."""
        email = verified_email(settings, profile)
        user = await _locked(user_id)
        known = await Identity.filter(provider=provider, subject=profile.subject).first()
        if known is not None:
            if known.user_id != user_id:
                raise Refused("identity_taken")
            await self._refresh(known, profile)
            return Found(user, known)
        identity = await self._insert(provider, user, profile)
        await self._fill(user, profile, email)
        return Found(user, identity, linked=True)

    async def of(self, user_id: int) -> list[IdentityInfo]:
        """A user's identities, oldest first."""
        rows = await Identity.filter(user_id=user_id).order_by("id")
        return [
            IdentityInfo(row.id, row.pid, row.provider, row.email, row.created_at, row.last_login_at) for row in rows
        ]

    async def unlink(self, user_id: int, pid: str, *, by: Actor | None) -> None:
        """Remove an identity. NotFound; Conflict when it is the only way in."""
        row = await Identity.filter(pid=pid, user_id=user_id).first() if len(pid) <= 32 else None
        if row is None:
            raise NotFound("There is no such identity")
        # Two removals at once wait for one another, so that each sees what is left.
        user = await User.filter(id=user_id).select_for_update().first()
        left = await Identity.filter(user_id=user_id).exclude(id=row.id).count()
        if user is None or (user.password_hash is None and not left):
            raise Conflict("This is the only way to sign in; set a password first", code="LAST_IDENTITY")
        if not await Identity.filter(id=row.id).delete():
            raise NotFound("There is no such identity")
        data = {"provider": row.provider}
        await self._shared.record("identity.unlinked", by=by, target=f"user:{user_id}", data=data)

    async def _create(
        self, provider: str, settings: ProviderSettings, profile: Profile, email: str, code: str | None
    ) -> Found:
        if not await User.all().exists():
            # The first user ends the setup; it is the owner, whom the setup token makes.
            raise Refused("setup_required", "there is no owner yet")
        invite: Invite | None = None
        if code is not None:
            try:
                invite = await self._invites.take(code)
            except InviteRefused as refused:
                raise Refused(_INVITE_CODES[refused.reason], f"invite {refused.reason}") from refused
        elif settings.register_new != "open":
            raise Refused("invite_required")
        name = _name(profile.name)
        username = await free_username(username_of(profile.login or email))
        role = invite.role if invite is not None else settings.role
        try:
            row = await self._users.prepare(username, password=None, email=email, role=role, name=name)
        except ValidationFailed as error:
            raise Refused("user_creation_failed", "the provider's names cannot be taken over") from error
        row.avatar_url = profile.avatar_url
        await self._users.insert(row)
        identity = await self._insert(provider, row, profile)
        return Found(row, identity, linked=True, created=True, invite=invite)

    async def _insert(self, provider: str, user: User, profile: Profile) -> Identity:
        now = self._shared.now()
        try:
            return await Identity.create(
                pid=new_pid("ident"),
                user=user,
                provider=provider,
                subject=profile.subject,
                email=profile.email,
                email_verified=profile.email_verified,
                name=_name(profile.name),
                created_at=now,
                last_login_at=now,
            )
        except IntegrityError as error:
            raise Conflict("This identity is linked already", code="IDENTITY_EXISTS") from error

    async def _refresh(self, row: Identity, profile: Profile) -> None:
        row.email, row.email_verified = profile.email, profile.email_verified
        row.last_login_at = self._shared.now()
        await row.save(update_fields=["email", "email_verified", "last_login_at"])

    async def _fill(self, user: User, profile: Profile, email: str | None) -> None:
        """What the user lacks and the provider knows; nothing that is there is overwritten."""
        changed = []
        if user.avatar_url is None and profile.avatar_url is not None:
            user.avatar_url = profile.avatar_url
            changed.append("avatar_url")
        if user.email is None and email is not None and not await User.filter(email_key=folded(email)).exists():
            user.email, user.email_key = email, folded(email)
            changed += ["email", "email_key"]
        if changed:
            user.updated_at = self._shared.now()
            await user.save(update_fields=[*changed, "updated_at"])
            self._shared.user_changed(user.id)


def verified_email(settings: ProviderSettings, profile: Profile) -> str | None:
    """The address that the provider vouches for, as it is stored, or None. Refused when no such may log in."""
    email: str | None = None
    if profile.email is not None and profile.email_verified:
        try:
            email = check_email(profile.email)
        except ValidationFailed:
            email = None
    if email is None and settings.kind == "google":
        raise Refused("email_not_verified" if profile.email is not None else "no_email")
    if settings.domains:
        if email is None:
            raise Refused("email_not_verified" if profile.email is not None else "no_email")
        if folded(email.rpartition("@")[2]) not in {folded(domain.removeprefix("@")) for domain in settings.domains}:
            raise Refused("email_domain", "the address is of none of the domains")
    return email


async def _locked(user_id: int) -> User:
    user = await User.filter(id=user_id).select_for_update().first()
    if user is None:
        raise Refused("oauth_failed", "the user is gone")
    if not user.active:
        raise Refused("user_inactive")
    return user


async def _address_is_proven(user: User) -> bool:
    """Whether the account's address is that of its person, so that the address's owner may be let in.

    Whoever registers with a password may have typed another's address; whoever came by a provider may have changed
    it since. An account that nobody could open yet (no password, no key, never a login) was made, with its address, by
    somebody who may make accounts, for that person.
    """
    identities = await Identity.filter(user_id=user.id)
    if not identities:
        never_opened = user.password_hash is None and user.last_login_at is None
        return never_opened and not await ApiKey.filter(user_id=user.id).exists()
    return any(
        row.email_verified and row.email is not None and folded(row.email) == user.email_key for row in identities
    )


def _name(text: str | None) -> str | None:
    try:
        return None if text is None else check_name(text[:MAX_NAME])
    except ValidationFailed:
        return None
