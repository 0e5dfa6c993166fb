"""What the page is served by: itself, its files, and what it asks first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from quart import Response, request
from typing_extensions import TypedDict

from moorage.access import Actor
from moorage.access.permissions import ANY, Permission
from moorage.console import assets
from moorage.console.assets import Asset
from moorage.console.mounts import Mounts
from moorage.context import current_actor
from moorage.dialects import PROBLEM
from moorage.errors import NotFound, Unavailable
from moorage.foreign import objects
from moorage.hub import Hub
from moorage.pages import Page
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.web import json_response

# The one hash is that of the empty text: the terminal emulator appends <style> elements that stay empty, and what it
# would write into them goes through the object model (`web/src/terminal/csp.ts`).
_EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {_EMPTY}; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
# Of what a browser asks people for, the page has a use for the microphone.
_PERMISSIONS = "microphone=(self), camera=(), display-capture=(), geolocation=(), payment=(), usb=()"
_HTML = "text/html"
_FOREVER = "public, max-age=31536000, immutable"
MAX_PAGES = 50
"""Of one plugin."""


class StateUser(TypedDict):
    """Who is signed in. `number`: the id that Octoprox's paths take.

    permissions: what the page may offer; a name with `:any` is about everybody's objects.
    """

    id: str
    number: int
    username: str
    name: str | None
    email: str | None
    role: str
    permissions: list[str]


class StatePlugin(TypedDict):
    """A plugin that the page can call, and the path under which it is."""

    name: str
    mount: str


class StatePage(TypedDict):
    """A page of a plugin. module: the address of its ES module. admin: it stands with the pages of administration."""

    plugin: str
    mount: str
    name: str
    title: str
    module: str
    admin: bool


class StateProvider(TypedDict):
    """A place elsewhere where people may log in."""

    name: str
    label: str


class StateAnswer(TypedDict):
    """GET /api/console/state. `setup`: there is no user yet. password_min: the fewest characters of a new password."""

    user: StateUser | None
    setup: bool
    password_min: int
    plugins: list[StatePlugin]
    pages: list[StatePage]
    providers: list[StateProvider]


def routes(hub: Hub, mounts: Mounts) -> list[Route]:
    """`/`, `/console/…` and `/invite/…` (the page, whatever the path), its files, and `/api/console/state`."""
    table = Routes()
    files = assets.load()
    setup_open = True
    # The page and its files are bytes in memory and say nothing of anybody: no limit, so that many people behind
    # one address can open it at once.
    file = partial(table.get, access=PUBLIC, limit=LimitClass.EXEMPT, dialect=PROBLEM, answers={304: None})

    @file("/", media_type=_HTML)
    async def home() -> Response:
        """Give the page."""
        return _page(files, secret="invite" in request.args)

    @file("/console", media_type=_HTML)
    async def start() -> Response:
        """Give the page, which has the same at its root."""
        return _page(files)

    @file("/console/{page:path}", media_type=_HTML)
    async def page(page: str) -> Response:
        """Give the page, which looks at the path itself."""
        return _page(files, secret=page == "authorize" or page.startswith("shared/"))

    @file("/invite/{token}", media_type=_HTML)
    async def invite(token: str) -> Response:
        """Give the page to somebody who was sent an invite."""
        return _page(files, secret=True)

    @file("/console/assets/{name:path}", media_type="*/*")
    async def asset(name: str) -> Response:
        """Give a file of the page."""
        wanted = files.get(f"assets/{name}")
        if wanted is None:
            raise NotFound
        return _answer(wanted, _FOREVER)  # Names hold a hash of the content.

    @table.get("/api/console/state", access=PUBLIC, dialect=PROBLEM, answer=StateAnswer)
    async def state() -> Response:
        """Say what the page needs at first: who is signed in, whether there is anybody, and what can be called."""
        nonlocal setup_open
        actor = current_actor()
        user = actor.user
        # The last owner cannot be removed, so what was once set up stays so.
        setup_open = setup_open and user is None and await hub.accounts.count_users() == 0
        # A page may not call another origin.
        found = {} if user is None else mounts()
        plugins: list[StatePlugin] = [{"name": one, "mount": at} for one, prefixes in found.items() for at in prefixes]
        providers: list[StateProvider] = [{"name": n, "label": label} for n, label in hub.accounts.oauth.providers()]
        answer: StateAnswer = {
            "user": _user(hub, actor),
            "setup": setup_open,
            "password_min": hub.accounts.settings.password_min_length,
            "plugins": plugins,
            "pages": _pages(hub, actor, found),
            "providers": providers,
        }
        return json_response(answer)

    return list(table)


def _page(files: Mapping[str, Asset], *, secret: bool = False) -> Response:
    """The page. secret: its address holds one, which the browser must tell nobody."""
    page = files.get(assets.PAGE)
    if page is None:
        raise Unavailable("The console was not built into this installation; `make page` in the source tree builds it")
    response = _answer(page, "no-cache")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Permissions-Policy"] = _PERMISSIONS
    if secret:
        response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _answer(asset: Asset, cache_control: str) -> Response:
    """The asset, compressed where the browser takes that, or 304 where it has it already."""
    coding = next((one for one in asset.packed if request.accept_encodings[one] > 0), None)
    tag = asset.tag if coding is None else f"{asset.tag}-{coding}"
    headers = {"Cache-Control": cache_control, "ETag": f'"{tag}"', "Vary": "Accept-Encoding"}
    if request.if_none_match.contains_weak(tag):
        return Response(b"", 304, headers=headers, content_type=asset.content_type)
    if coding is not None:
        headers["Content-Encoding"] = coding
    body = asset.body if coding is None else asset.packed[coding]
    return Response(body, 200, headers=headers, content_type=asset.content_type)


def _pages(hub: Hub, actor: Actor, here: Mapping[str, Sequence[str]]) -> list[StatePage]:
    """The plugins' pages that the actor may see, in their order."""
    given = [] if not here else hub.hooks.call("moorage_pages")
    pages = [
        (page.order, plugin, page) for plugin, found in given if plugin in here for page in _valid(hub, plugin, found)
    ]
    pages.sort(key=lambda one: one[:2])
    return [
        {
            "plugin": plugin,
            "mount": here[plugin][0],
            "name": page.name,
            "title": page.title,
            "module": here[plugin][0].rstrip("/") + page.module,
            "admin": page.section == "admin",
        }
        for _, plugin, page in pages
        if page.permission is None or hub.access.holds(actor, page.permission)
    ]


def _valid(hub: Hub, plugin: str, found: Any) -> list[Page]:
    """What one plugin gives wrong takes nothing from the others: this is what everybody's page asks first."""
    try:
        return objects(found, Page, MAX_PAGES)
    except Exception as error:
        hub.log.warning("a plugin did not say what pages it has", plugin=plugin, reason=str(error))
        return []


def _user(hub: Hub, actor: Actor) -> StateUser | None:
    user = actor.user
    if user is None:
        return None
    return {
        "id": user.pid,
        "number": user.id,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "permissions": [name for each in hub.access.permissions() for name in _held(hub, actor, each)],
    }


def _held(hub: Hub, actor: Actor, permission: Permission) -> list[str]:
    """The permission, plain and for everybody's objects, as far as the actor holds it."""
    if not hub.access.holds(actor, permission.name):
        return []
    everybody = permission.owned and hub.access.owner_filter(actor, permission.name) is None
    return [permission.name, permission.name + ANY] if everybody else [permission.name]
