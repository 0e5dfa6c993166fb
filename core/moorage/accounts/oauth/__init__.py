"""Logins at providers elsewhere: GitHub, Google, any issuer of OpenID Connect."""

from moorage.accounts.oauth.flows import COOKIE, FLOW_SECONDS
from moorage.accounts.oauth.identities import IdentityInfo
from moorage.accounts.oauth.refusals import ProviderDown
from moorage.accounts.oauth.service import Begun, Done, OAuthLogins, Wishes

__all__ = ["COOKIE", "FLOW_SECONDS", "Begun", "Done", "IdentityInfo", "OAuthLogins", "ProviderDown", "Wishes"]
