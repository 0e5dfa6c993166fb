"""The server as an OAuth 2.1 authorization server for its own resources: clients, consent, codes, tokens."""

from moorage.accounts.authorization.clients import Client, Kind, Registered
from moorage.accounts.authorization.requests import RESOURCE_METADATA, AnswerRefused, Asked, PageRefused, Resource
from moorage.accounts.authorization.service import Authorization

__all__ = [
    "RESOURCE_METADATA",
    "AnswerRefused",
    "Asked",
    "Authorization",
    "Client",
    "Kind",
    "PageRefused",
    "Registered",
    "Resource",
]
