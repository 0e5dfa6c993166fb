"""`/api/terminal/…`, and CHROTE's own page as an unmodified client of the whole."""

from __future__ import annotations

import asyncio
import json

import httpx
import websockets
from terminals import ISO, Client, api, connect, ids, serving, session, token
from waits import WAIT

LOCK = {"id", "name", "sessionId", "userId", "userName", "claimedAt", "expiresAt"}
SNAKE = {"session_id", "user_id", "user_name", "claimed_at", "expires_at"}


def path(name, rest=""):
    return f"/api/terminal/sessions/{name}{rest}"


def shown(client, name, wanted):
    """What a session shows once it holds a text."""
    while wanted not in (text := client.get(path(name, "/capture")).json()["content"]):
        pass
    return text


# -- each path ---------------------------------------------------------------------------------------------------------


def test_the_list_and_one(server, tmux, request):
    name = session(tmux, request)
    with api(server, "vic") as vic:
        entry = next(e for e in vic.get("/api/terminal/sessions").json()["sessions"] if e["name"] == name)
        assert (entry["windows"], entry["attached"], entry["claim"]) == (1, False, None)
        assert ISO.match(entry["created"])
        one = vic.get(path(name)).json()["session"]
        assert entry.items() <= one.items()
        assert (one["currentWindow"], one["width"], one["height"]) == (0, 80, 24)
        status = vic.get("/api/terminal/status").json()
        assert (status["status"], status["available"]) == ("ok", True)
        assert status["sessions"] >= 1


def test_capture_and_scrollback(server, tmux, request):
    name = session(tmux, request, "seq 100; printf here; exec sleep 1000")
    tmux.run("split-window", "-d", "-t", f"{name}:", "printf second; exec sleep 1000")
    with api(server, "vic") as vic:
        shown(vic, name, "here")
        body = vic.get(path(name, "/capture?pane=0")).json()
        assert {"session": name, "sessionId": name, "pane": "0"}.items() <= body.items()
        rows = body["content"].split("\n")
        assert rows[-1] == "here"
        assert len(rows) < 30
        assert vic.get(path(name, "/capture?pane=1")).json()["content"] == "second"
        back = vic.get(path(name, "/scrollback?pane=0&lines=10")).json()["content"].split("\n")
        assert len(back) == len(rows) + 10
        everything = vic.get(path(name, "/scrollback")).json()["content"].split("\n")
        assert everything == [*map(str, range(1, 101)), "here"]
        for query in ("/capture?pane=9", "/scrollback?pane=9", "/capture?pane=0;reboot"):
            answer = vic.get(path(name, query))
            assert (answer.status_code, answer.json()["error"]) == (404, "Pane not found"), query
        for query in ("lines=0", "lines=10001", "lines=x"):
            answer = vic.get(path(name, f"/scrollback?{query}"))
            assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR"), query


def test_refusals_are_short_texts(server, tmux, request):
    name = session(tmux, request)
    gets = ["", "/capture", "/scrollback", "/lock"]
    with api(server, "vic") as vic, api(server, "ann") as ann:
        for rest in gets:
            answer = vic.get(path("nope", rest))
            assert (answer.status_code, answer.json()["error"]) == (404, "Session not found"), rest
        for rest, body in (("/lock", {}), ("/release", {}), ("/keys", {"keys": "x"})):
            answer = ann.post(path("nope", rest), json=body)
            assert (answer.status_code, answer.json()["error"]) == (404, "Session not found"), rest
        for rest, body in (("/lock", {}), ("/keys", {"keys": "x"})):
            answer = vic.post(path(name, rest), json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
            assert "requires operator role" in answer.json()["error"]
        answer = ann.post(path(name, "/release"))
        assert (answer.status_code, answer.json()["error"]) == (404, "Session not locked")
        wrong = [{}, {"keys": ""}]
        for body in wrong:
            answer = ann.post(path(name, "/keys"), json=body)
            assert (answer.status_code, answer.json()["error"]) == (400, "keys field required")
        wrong = [{"keys": 5}, {"keys": None}, {"keys": "x", "raw": 1}, {"keys": "x", "pane": True}, {"keys": ["x"]}]
        for body in wrong:
            answer = ann.post(path(name, "/keys"), json=body)
            assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR"), body
        assert ann.post(path(name, "/keys"), content=b"{").status_code == 400
        assert ann.post(path(name, "/keys"), json={"keys": "x", "pane": "7"}).json()["error"] == "Pane not found"
    for rest in gets:
        answer = httpx.get(server.url + path(name, rest))
        assert (answer.status_code, answer.json()["error"]) == (401, "Authentication required")


def test_keys_go_the_way_of_keys(server, tmux, request):
    name = session(tmux, request)
    with api(server, "ann") as ann, api(server, "bob") as bob:
        answer = ann.post(path(name, "/keys"), json={"keys": "Enter größe 漢; #{pid} $(x)\n"}).json()
        assert {"success": True, "sessionId": name}.items() <= answer.items()
        assert ISO.match(answer["timestamp"])
        assert shown(ann, name, "(x)") == "Enter größe 漢; #{pid} $(x)"
        ann.post(path(name, "/keys"), json={"keys": "raw\n", "raw": True, "pane": 0})
        ann.post(path(name, "/keys"), json={"keys": "\x1b[31mred", "pane": "0.0"})
        assert shown(ann, name, "red").endswith("raw\nred") or "raw" in shown(ann, name, "red")

        first = ann.post(path(name, "/lock")).json()
        refused = bob.post(path(name, "/keys"), json={"keys": "intruder"})
        assert refused.status_code == 403
        body = refused.json()
        assert body["error"] == "Session is claimed by another user"
        assert body["details"]["code"] == "CLAIM_REQUIRED"
        assert body["lockedBy"] == first["lockedBy"]
        assert body["expiresAt"] == first["expiresAt"]
        ann.post(path(name, "/keys"), json={"keys": "mine"})
        assert "intruder" not in shown(ann, name, "mine")
        assert ann.get(path(name, "/lock")).json()["expiresAt"] > first["expiresAt"], "typing renews one's own"
        assert ann.post(path(name, "/release")).status_code == 200


def test_locks(server, tmux, request):
    name, who = session(tmux, request), ids(server)
    ann_is, ada_is = {"id": who["ann"], "name": "ann"}, {"id": who["ada"], "name": "ada"}
    with api(server, "ann") as ann, api(server, "bob") as bob, api(server, "ada") as ada, api(server, "vic") as vic:
        free = {"sessionId": name, "locked": False, "lockedBy": None, "claimedAt": None, "expiresAt": None}
        assert vic.get(path(name, "/lock")).json() == free
        taken = ann.post(path(name, "/lock"))
        assert taken.status_code == 200
        assert {"success": True, "sessionId": name, "lockedBy": ann_is}.items() <= taken.json().items()
        assert ISO.match(taken.json()["claimedAt"])
        assert vic.get(path(name, "/lock")).json().items() >= {"locked": True, "lockedBy": ann_is}.items()
        lock = vic.get("/api/terminal/locks").json()["locks"][name]
        assert lock.keys() == LOCK | SNAKE
        assert (lock["id"], lock["name"], lock["userId"], lock["session_id"]) == (who["ann"], "ann", who["ann"], name)
        refused = bob.post(path(name, "/lock"))
        assert refused.status_code == 409
        assert {
            "error": "Session is locked by ann",
            "locked": True,
            "lockedBy": ann_is,
        }.items() <= refused.json().items()
        refused = bob.post(path(name, "/release"))
        assert (refused.status_code, refused.json()["error"]) == (403, "Cannot release others' locks")
        assert ada.post(path(name, "/lock")).json()["lockedBy"] == ada_is, "an administrator takes over"
        assert ada.post(path(name, "/release")).json() == {"success": True, "sessionId": name}
        assert name not in vic.get("/api/terminal/locks").json()["locks"]
        assert vic.get("/api/sessions").json()["sessions"], "it is the same claim"


class Paste:
    """A long paste by a POST, into a program that stops reading in the middle until `go`."""

    def __init__(self, server, tmux, name, who):
        self.tmux, self.name = tmux, name
        self.taken = tmux.folder / f"{name}.taken"
        wait, begun = f"tmux -L {tmux.name} wait-for {name}-go", tmux.signal(f"{name}-begun")
        tmux.new(name, f"stty raw -echo; head -c 1000 > /dev/null; {begun}; {wait}; exec cat > {self.taken}")
        self.http = httpx.AsyncClient(
            base_url=server.url, headers={"Authorization": f"Bearer {server.keys[who]}"}, timeout=20
        )

    async def __aenter__(self):
        post = self.http.post(path(self.name, "/keys"), json={"keys": "x" * 400_000})
        self.answer = asyncio.create_task(post)
        await asyncio.to_thread(self.tmux.run, "wait-for", f"{self.name}-begun")
        return self

    async def __aexit__(self, *_):
        await self.http.aclose()

    async def go(self):
        """Let the program read on; returns the answer."""
        self.tmux.run("wait-for", "-S", f"{self.name}-go")
        answer = await self.answer
        assert self.taken.stat().st_size < 200_000, "the rest was not typed"
        return answer


async def test_a_claim_that_is_taken_over_ends_a_long_paste(server, tmux):
    with api(server, "ann") as ann, api(server, "ada") as ada:
        async with Paste(server, tmux, "taken-over", "ann") as paste:
            assert (await asyncio.to_thread(ann.post, path("taken-over", "/lock"))).status_code == 200
            over = await asyncio.to_thread(ada.post, path("taken-over", "/lock"))
            answer = await paste.go()
    assert answer.status_code == 403
    assert answer.json()["lockedBy"] == over.json()["lockedBy"]


async def test_a_role_that_is_lost_ends_a_long_paste(server, tmux):
    await asyncio.to_thread(server.add_user, "kit")
    server.keys["kit"] = await asyncio.to_thread(token, server, "kit")
    with api(server, "ada") as ada:
        async with connect(server, "kit") as kit, Paste(server, tmux, "role-lost", "kit") as paste:
            pid = (await kit.next("connected"))["userId"]
            changed = await asyncio.to_thread(ada.patch, f"/api/users/{pid}/role", json={"role": "viewer"})
            assert changed.status_code == 200, changed.text
            await kit.next("permissions", role="viewer")
            answer = await paste.go()
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert "requires operator role" in answer.json()["error"]


async def test_a_long_paste_ends_with_the_login(server, tmux):
    await asyncio.to_thread(server.add_user, "lou")
    server.keys["lou"] = await asyncio.to_thread(token, server, "lou")
    async with connect(server, "lou") as lou, Paste(server, tmux, "signed-out", "lou") as paste:
        with api(server, "lou") as client:
            assert (await asyncio.to_thread(client.post, "/api/auth/logout")).is_success
        assert await lou.closed() == 4001
        answer = await paste.go()
    assert answer.status_code == 401


# -- the page ----------------------------------------------------------------------------------------------------------


class Page:
    """What the page does (facts 3.1), written down once: a cookie, polls, and a socket for each of its shapes."""

    def __init__(self, server, login):
        self.server, self.login = server, login
        self.http = httpx.Client(base_url=server.url, timeout=WAIT)
        self.locks = {}

    def sign_in(self):
        """By password here, since the provider is not ours; what counts is that the cookie is all it has then."""
        body = {"username": self.login, "password": "correct horse battery"}
        answer = self.http.post("/api/auth/login", json=body).raise_for_status()
        # A browser sends the cookie, and no token in a header.
        self.http.headers.clear()
        self.csrf = answer.json().get("csrf_token")
        user = self.http.get("/api/auth/me").raise_for_status().json()["user"]
        assert {"id", "email", "name", "avatar_url", "role"} <= user.keys()
        self.me = user["id"]

    def poll(self):
        """Every 10 s: the list."""
        sessions = self.http.get("/api/terminal/sessions").raise_for_status().json()["sessions"]
        return [(entry["name"], entry["attached"] > 0, entry["created"]) for entry in sessions]

    def load_locks(self):
        """`Object.entries(locks)`: a session's name, and who."""
        for name, by in self.http.get("/api/terminal/locks").raise_for_status().json()["locks"].items():
            self.locks[name] = {"id": by["id"], "name": by["name"]}

    def post(self, name, what):
        """Any 2xx will do; else `error` is shown."""
        answer = self.http.post(f"/api/terminal/sessions/{name}/{what}", headers={"Origin": self.server.url})
        return None if answer.is_success else answer.json()["error"]

    def socket(self):
        """The browser sends the cookie and the page's origin."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        headers = {"Cookie": cookies, "Origin": self.server.url}
        return websockets.connect(f"{self.server.ws_url}/ws", additional_headers=headers, max_size=None)

    async def type(self, client, name, text):
        """A message for each key, and only with the claim."""
        assert self.locks[name]["id"] == self.me
        for key in text:
            await client.connection.send(json.dumps({"type": "sendKeys", "sessionId": name, "keys": key}))

    def see(self, message):
        """What its handlers do with the messages that it knows."""
        if message["type"] == "claimed":
            self.locks[message["sessionId"]] = message["by"]
        elif message["type"] == "released":
            self.locks.pop(message["sessionId"], None)


async def test_the_page_as_it_is(tmux, tmp_path_factory, request):
    name = session(tmux, request)
    folder = tmp_path_factory.mktemp("page")
    # The page never sends a heartbeat; its sockets must live longer than that.
    with serving(folder, tmux, heartbeat_seconds=0.3) as server:
        for who in ("ann", "bob"):
            await asyncio.to_thread(server.add_user, who)
        ann, bob = Page(server, "ann"), Page(server, "bob")
        for page in (ann, bob):
            await asyncio.to_thread(page.sign_in)
        assert name in {entry[0] for entry in await asyncio.to_thread(ann.poll)}
        assert await asyncio.to_thread(bob.post, name, "lock") is None
        await asyncio.to_thread(ann.load_locks)
        assert ann.locks[name]["id"] == bob.me
        assert "bob" in await asyncio.to_thread(ann.post, name, "lock")
        async with ann.socket() as canvas, ann.socket() as shape:
            canvas, shape = Client(canvas), Client(shape)
            await shape.send(type="subscribe", sessionId=name)
            await shape.next("output")
            assert await asyncio.to_thread(bob.post, name, "release") is None
            # The canvas never subscribes, and claims as soon as it hears that it can.
            ann.see(await canvas.next("released", sessionId=name))
            await canvas.send(type="claim", sessionId=name)
            ann.see(await canvas.next("claimed", sessionId=name))
            await ann.type(shape, name, ["l", "s", " ", "-", "l", "\r", "\u001b[A", "\t", "\u007f", "é"])
            assert await shape.text("é") == "ls -l\r\u001b[A\t\u007fé"
            await asyncio.sleep(1.0)  # Three heartbeats that were not sent.
            await ann.type(shape, name, ["!"])
            await shape.text("!")
            await canvas.send(type="release", sessionId=name)
            ann.see(await canvas.next("released", sessionId=name))
            assert ann.locks == {}
            await shape.send(type="unsubscribe", sessionId=name)
        assert await asyncio.to_thread(ann.http.post, "/api/auth/logout", headers={"Origin": server.url})
        assert (await asyncio.to_thread(ann.http.get, "/api/auth/me")).json() == {"user": None}
        async with ann.socket() as late:
            assert await Client(late).closed() == 4001
        for page in (ann, bob):
            page.http.close()


async def test_whoever_lists_hears_of_locks_over_http(server, tmux, request):
    name = session(tmux, request)
    async with connect(server, "vic") as vic:
        await vic.next("sessions")
        with api(server, "ann") as ann:
            await asyncio.to_thread(ann.post, path(name, "/lock"))
            assert (await vic.next("claimed", sessionId=name))["by"]["name"] == "ann"
            await asyncio.to_thread(ann.post, path(name, "/release"))
            assert await vic.next("released", sessionId=name)
