"""Why somebody was not logged in by a provider: a code for the page, and a reason for the log."""

from __future__ import annotations

from moorage.errors import Unavailable


class Refused(Exception):
    """Ends a login at a provider. `code` gets to the page as `?error=CODE`; `reason` is for the operator's log.

    Codes of CHROTE's page: invalid_state, no_email, email_not_verified, invite_required, invalid_invite,
    invite_expired, invite_exhausted, user_creation_failed, oauth_failed. Ours: account_exists (sign in with the
    password and link the provider on the account page), user_inactive, email_domain, identity_taken, setup_required,
    rate_limited. Nothing in a `reason` is secret: neither codes nor tokens nor what the provider sent.
    """

    def __init__(self, code: str, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or code
        super().__init__(self.reason)


class ProviderDown(Unavailable):
    """A provider does not answer, or not as it should, so that no login there can begin."""

    code = "PROVIDER_UNREACHABLE"
