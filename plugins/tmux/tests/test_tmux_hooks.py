"""Other people's plugins take part in terminals: they filter output, veto input, and hear of sessions and claims."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json

import pytest
from moorage.api import Manifest, Plugin, PluginConfig, Topic, hookimpl
from moorage_tmux import listeners
from moorage_tmux.guards import HIDDEN, PaneFilter
from moorage_tmux.pane import PaneStream
from moorage_tmux.watch import WatchSettings
from pydantic import Field
from terminals import Client
from waits import WAIT


class Hider:
    """Masks a word, held back while it may be half there; what it gave out before is remembered."""

    def __init__(self, word="secret"):
        self.word, self.held = word, ""

    def feed(self, text):
        text = (self.held + text).replace(self.word, "*" * len(self.word))
        cut = next((n for n in range(len(self.word) - 1, 0, -1) if text.endswith(self.word[:n])), 0)
        self.held = text[len(text) - cut :]
        return text[: len(text) - cut]

    def flush(self):
        held, self.held = self.held, ""
        return "*" * len(held)

    def whole(self, text):
        return text.replace(self.word, "*" * len(self.word))


def guarded(*filters, failures=None):
    return PaneFilter(
        [(f"p{number}", each) for number, each in enumerate(filters)],
        lambda plugin, error: failures.append((plugin, str(error))) if failures is not None else None,
    )


# -- one stream -----------------------------------------------------------------------------------------------------


@pytest.fixture
def stream():
    """Makes a stream over filters: (stream, what it gave out)."""
    streams = []

    def make(*filters, failures=None):
        given = []
        guard = guarded(*filters, failures=failures) if filters else None
        streams.append(PaneStream(lambda text, seq: given.append((text, seq)), guard=lambda: guard))
        return streams[-1], given

    yield make
    for each in streams:
        each.close()


def texts(given):
    return "".join(text for text, _ in given)


@pytest.mark.parametrize("cuts", list(itertools.combinations(range(1, 20), 2))[::7])
async def test_a_word_that_is_cut_anywhere_is_hidden(stream, cuts):
    pane, given = stream(Hider())
    whole = b"my secret is secret!"
    for part in (whole[: cuts[0]], whole[cuts[0] : cuts[1]], whole[cuts[1] :]):
        pane.append(part)
        pane.flush()
    assert texts(given) == "my ****** is ******!"


async def test_positions_count_what_was_given_out(stream):
    pane, given = stream(Hider("größe"))
    start = pane.seq
    pane.append("größe grö".encode())
    pane.flush()
    assert given == [("***** ", start + 6)]
    assert pane.since(start) == "***** "
    pane.append("ße".encode())
    pane.flush()
    assert given[1:] == [("*****", start + 11)]
    assert pane.since(start + 6) == "*****"


async def test_what_is_held_back_comes_when_the_pane_is_quiet(stream):
    pane, given = stream(Hider())
    pane.append(b"a se")
    pane.settle()
    assert texts(given) == "a "
    async with asyncio.timeout(WAIT):
        while texts(given) != "a **":
            await asyncio.sleep(0.005)


async def test_what_is_held_back_comes_before_a_screen_is_drawn(stream):
    pane, given = stream(Hider())
    pane.append(b"a se")
    pane.give_all()
    assert texts(given) == "a **"
    assert pane.drawn("a se") == "a se"


async def test_filters_are_applied_in_order(stream):
    pane, given = stream(Hider("one"), Hider("***"))
    pane.append(b"one on")
    pane.give_all()
    assert texts(given) == "*** **"
    assert pane.drawn("one") == "***"


class Fails:
    def __init__(self, *broken):
        self.broken = broken

    def _do(self, name, text):
        if name in self.broken:
            raise SystemExit("no such luck") if name == "whole" else ValueError("no such luck")
        return text

    def feed(self, text):
        return self._do("feed", text)

    def flush(self):
        return self._do("flush", "")

    def whole(self, text):
        return self._do("whole", text)


@pytest.mark.parametrize("broken", ["feed", "flush", "whole"])
async def test_a_filter_that_fails_hides_everything_and_says_so_once(stream, broken):
    failures = []
    pane, given = stream(Hider(), Fails(broken), failures=failures)
    pane.append(b"a")
    pane.give_all()
    drawn = pane.drawn("screen")
    assert ("screen" in drawn) == (broken == "never")
    for _ in range(3):
        pane.append(b"sesame")
        pane.give_all()
    assert "sesame" not in texts(given)
    assert texts(given).count(HIDDEN) == 1
    assert HIDDEN in pane.drawn("screen")
    assert [plugin for plugin, _ in failures] == ["p1"]
    pane.skip()
    pane.append(b"sesame")
    pane.give_all()
    assert "sesame" not in texts(given)


@pytest.mark.parametrize("answer", [None, b"bytes", 7, "\ud800"])
async def test_an_answer_that_is_no_text_is_a_failure(stream, answer):
    class Odd(Fails):
        def feed(self, text):
            return answer

    pane, given = stream(Odd())
    pane.append(b"sesame")
    pane.flush()
    assert HIDDEN in texts(given)


# -- the engine -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def guarded_engine(tmux_server, engine_class):
    """An engine whose panes are filtered: by `filters`, when they are made."""
    filters = [Hider]
    settings = WatchSettings(
        linger=5.0, guard=lambda session, pane: guarded(*(make() for make in filters)) if filters else None
    )
    engine = engine_class(tmux_server.tmux, settings)
    engine.filters = filters
    yield engine
    await engine.close()


class Lags:
    """Always holds the last character back, and replaces one letter."""

    held = ""

    def feed(self, text):
        text = self.held + text
        self.held = text[-1:]
        return text[:-1].replace("ö", "ø")

    def flush(self):
        held, self.held = self.held, ""
        return held.replace("ö", "ø")

    def whole(self, text):
        return text.replace("ö", "ø")


async def test_joins_at_any_moment_show_nothing_twice(tmux_server, guarded_engine, fake_socket, terminal_stream):
    guarded_engine.filters[:] = [Lags, Lags]
    tmux_server.new("keeper")
    script = tmux_server.folder / "program.sh"
    script.write_text(
        f"tmux -L {tmux_server.name} wait-for go\nn=0\nwhile [ $n -lt 80 ]; do n=$((n+1))\n"
        "printf 'schön %d ö' $n; sleep 0.003; printf '\\033[3%dmgrößer\\n' $((n%8)); done\n"
        "printf 'the%s.' end\nexec sleep 1000\n"
    )
    pane = tmux_server.new("main", f"stty -echo; exec sh {script}", cols=40, rows=12)
    sockets = [fake_socket()]
    await guarded_engine.subscribe("main", sockets[0])
    await sockets[0].until(lambda messages: messages)
    finished = asyncio.create_task(sockets[0].until_text("theend."))
    tmux_server.run("wait-for", "-S", "go")
    while not finished.done():
        socket = fake_socket()
        await guarded_engine.subscribe("main", socket)
        sockets.append(socket)
        await asyncio.sleep(0.004)
    await finished
    for socket in sockets:
        await socket.until_text("theend.")
        assert "ö" not in "".join(socket.texts)
    wanted = [line.replace("ö", "ø") for line in tmux_server.capture(pane, "-e")]
    assert "ø" in "".join(wanted)
    streams = list(dict.fromkeys(terminal_stream(socket.messages) for socket in reversed(sockets)))
    assert len(streams) > 10
    for stream in streams[:8]:
        drawn = await asyncio.to_thread(tmux_server.emulate, stream, cols=40, rows=12)
        assert tmux_server.capture(drawn, "-e") == wanted


async def test_a_changed_filter_shows_everything_anew(tmux_server, guarded_engine, fake_socket):
    tmux_server.cat("main")
    socket = fake_socket()
    await guarded_engine.subscribe("main", socket)
    watch = await guarded_engine.watch("main")
    tmux_server.run("send-keys", "-t", "main", "-l", "a secret, a riddle.")
    await socket.until_text("a ******, a riddle.")
    seq = socket.messages[-1]["seq"]
    guarded_engine.filters[:] = [lambda: Hider("riddle")]
    watch.filter_anew()
    await socket.until_text("a secret, a ******.")
    tmux_server.run("send-keys", "-t", "main", "-l", "secret riddle!")
    await socket.until_text("secret ******!")
    back = fake_socket()
    await guarded_engine.subscribe("main", back, since=seq)
    await back.until(lambda messages: messages)
    assert back.messages[0].get("snapshot")
    guarded_engine.filters.clear()
    watch.filter_anew()
    await socket.until_text("a secret, a riddle.")


# -- a server with such plugins -------------------------------------------------------------------------------------


class WardConfig(PluginConfig):
    word: str = Field("secret", description="What is hidden.")


class Ward(Plugin):
    """Hides a word, forbids to type another, and hears of everything."""

    manifest = Manifest(name="ward", version="1", summary="Watches", requires=("tmux",), config=WardConfig)
    heard: asyncio.Queue

    @hookimpl
    async def moorage_startup(self, hub):
        self.word, self.heard, self.asked = hub.config.word, asyncio.Queue(), []

    @hookimpl
    def tmux_output_filter(self, session, pane):
        if session.name == "raises":
            raise RuntimeError("no filter for it")
        return Hider(self.word) if session.name != "open" else None

    @hookimpl
    def tmux_input(self, actor, session, keys):
        if keys == "raise":
            raise RuntimeError("what is it")
        self.asked.append((session.name, keys))
        return f"{actor.user.role}s may not type that" if "forbidden" in keys else None

    @hookimpl
    async def tmux_session_created(self, session):
        self.heard.put_nowait(("created", session.name))

    @hookimpl
    async def tmux_session_destroyed(self, session):
        self.heard.put_nowait(("destroyed", session.name))

    @hookimpl
    async def tmux_claim_changed(self, session_name, claim, reason):
        self.heard.put_nowait((session_name, claim and claim.user.username, reason))


class Stuck(Plugin):
    """Never gets on with what it hears."""

    manifest = Manifest(name="stuck", version="1", summary="Hangs", requires=("tmux",))
    calls = 0

    @hookimpl
    async def tmux_session_created(self):
        self.calls += 1
        await asyncio.sleep(3600)

    @hookimpl
    async def tmux_claim_changed(self):
        self.calls += 1
        raise ValueError("not today")


@contextlib.asynccontextmanager
async def serving(moorage_server, tmux_server, *plugins):
    options = {"mount": ["/"], "socket_name": tmux_server.name}
    async with moorage_server("tmux", *plugins, config={"plugins": {"tmux": options}}) as server:
        yield server


def logged(caplog, what):
    """The log's lines about something, however lines are spelled in this process."""
    return [said for record in caplog.records if what in (said := record.getMessage())]


async def heard(server, *wanted):
    async with asyncio.timeout(WAIT):
        for each in wanted:
            assert await server.plugin("ward").heard.get() == each


async def test_output_is_filtered_wherever_it_is_shown(moorage_server, tmux_server):
    tmux_server.cat("main")
    async with serving(moorage_server, tmux_server, Ward) as server:
        ann = await server.as_user("operator")
        async with ann.connect("/ws") as one, ann.connect("/ws/terminal/main") as two:
            first, second = Client(one), Client(two)
            await first.send(type="subscribe", sessionId="main")
            await second.next("output")
            await first.next("output")
            for part in ("a sec", "ret!"):
                await first.send(type="sendKeys", sessionId="main", keys=part)
            for client in (first, second):
                seen = ""
                while "!" not in seen:
                    seen += (await client.next("output"))["data"]
                assert seen.startswith("a ")
                assert "ret" not in seen.replace("***ret", "")
                assert "sec" not in seen
            await first.send(type="sendKeys", sessionId="main", keys=" a secret.")
            for client in (first, second):
                await client.text(" a ******.")
            shown = (await ann.get("/api/sessions/main")).json()["windows"][0]["panes"][0]["content"]
            assert "******" in shown
            async with ann.connect("/ws/terminal/main") as three:
                assert "a ******." in (await Client(three).next("output", snapshot=True))["data"]


async def test_a_filter_that_cannot_be_made_hides_that_pane_alone(moorage_server, tmux_server, caplog):
    for name in ("raises", "open"):
        tmux_server.new(name, f"printf 'shown in {name}: secret'; exec cat")
    async with serving(moorage_server, tmux_server, Ward) as server:
        ann = await server.as_user("operator")
        async with ann.connect("/ws") as socket:
            client = Client(socket)
            await client.send(type="subscribe", sessionId="raises")
            assert HIDDEN in (await client.next("output"))["data"]
            await client.send(type="sendKeys", sessionId="raises", keys="hello\n")
            await client.send(type="subscribe", sessionId="open")
            await client.text("shown in open: secret")
            tmux_server.run("send-keys", "-t", "open", "-l", "end")
            await client.text("end")
            said = "".join(m.get("data", "") for m in client.messages if m.get("sessionId") == "raises")
            assert "shown" not in said
            assert "hello" not in said
        shown = (await ann.get("/api/sessions/raises")).json()["windows"][0]["panes"][0]["content"]
        assert shown == HIDDEN
        for _ in range(3):  # Each is asked for, and each fails.
            assert (await ann.get("/api/sessions/raises")).status_code == 200
    told = logged(caplog, "filter failed")
    assert len(told) == 1, "and not for each capture and each title"
    assert "ward" in told[0]


async def test_a_veto_keeps_keys_out_and_says_why(moorage_server, tmux_server):
    tmux_server.cat("main")
    async with serving(moorage_server, tmux_server, Ward) as server:
        ann = await server.as_user("operator")
        async with ann.connect("/ws") as one, ann.connect("/ws/terminal/main") as two:
            first, second = Client(one), Client(two)
            await first.send(type="claim", sessionId="main")
            await first.next("claimed")
            for client in (first, second):
                await client.send(type="sendKeys", sessionId="main", keys="forbidden")
                error = await client.next("error")
                assert (error["code"], error["message"]) == ("INPUT_REFUSED", "operators may not type that")
            await first.send(type="sendKeys", sessionId="main", keys="raise")
            assert (await first.next("error"))["message"] == "plugin ward could not decide"
            await first.send(type="sendKeys", sessionId="main", keys="allowed")
            await second.text("allowed")
    assert "".join(tmux_server.capture("main")) == "allowed"


async def test_a_veto_is_asked_only_where_rights_and_claims_allow_it(moorage_server, tmux_server):
    tmux_server.cat("main")
    async with serving(moorage_server, tmux_server, Ward) as server:
        ann, bob = await server.as_user("operator", name="ann"), await server.as_user("operator", name="bob")
        assert (await bob.post("/api/sessions/main/claim")).status_code == 200
        async with ann.connect("/ws") as one, ann.connect("/ws/terminal/main") as two:
            everything, terminal = Client(one), Client(two)
            for client, code in ((everything, "CLAIM_REQUIRED"), (terminal, "NOT_CLAIMED")):
                await client.send(type="sendKeys", sessionId="main", keys="forbidden")
                assert (await client.next("error"))["code"] == code
            said = await ann.post("/api/terminal/sessions/main/keys", json={"keys": "forbidden"})
            assert (said.status_code, said.json()["code"]) == (403, "FORBIDDEN")
        assert server.plugin("ward").asked == []


async def test_plugins_are_told_the_name_that_a_session_has_now(moorage_server, tmux_server):
    tmux_server.new("open", "printf 'a secret'; exec cat")
    async with serving(moorage_server, tmux_server, Ward) as server:
        ann = await server.as_user("operator")
        async with ann.connect("/ws") as socket:
            client = Client(socket)
            await client.send(type="subscribe", sessionId="open")
            await client.text("a secret")
            tmux_server.run("rename-session", "-t", "open", "closed")
            await client.next("sessionRenamed")
            await heard(server, ("created", "open"))
            assert "a ******" in await client.text("a ******")
            await client.send(type="sendKeys", sessionId="closed", keys="x")
            await client.text("x")
            assert server.plugin("ward").asked == [("closed", "x")]
            await server.reload({"plugins": {"ward": {"word": "riddle"}}})
            await heard(server, ("created", "closed"))


async def test_sessions_and_claims_are_told_in_order_though_others_hang(moorage_server, tmux_server, monkeypatch):
    tmux_server.new("early")
    async with serving(moorage_server, tmux_server, Stuck, Ward) as server:
        await heard(server, ("created", "early"))
        tmux_server.new("main")
        await heard(server, ("created", "main"))
        ann, ada = await server.as_user("operator", name="ann"), await server.as_user("admin", name="ada")
        assert (await ann.post("/api/sessions/main/claim")).status_code == 200
        assert (await ann.post("/api/sessions/main/claim")).status_code == 200
        assert (await ada.post("/api/sessions/main/claim")).status_code == 200
        assert (await ada.delete("/api/sessions/main/claim")).status_code == 200
        tmux_server.run("kill-session", "-t", "main")
        await heard(
            server,
            ("main", "ann", "claimed"),
            ("main", "ann", "renewed"),
            ("main", None, "overridden"),
            ("main", "ada", "claimed"),
            ("main", None, "released"),
            ("destroyed", "main"),
        )
        assert server.plugin("stuck").calls == 1


async def test_what_waits_for_a_plugin_is_bounded(moorage_server, tmux_server, monkeypatch, caplog):
    monkeypatch.setattr(listeners, "MAX_WAITING", 3)
    monkeypatch.setattr(listeners, "TIMEOUT", 0.05)
    for number in range(8):
        tmux_server.new(f"s{number}")
    async with serving(moorage_server, tmux_server, Stuck, Ward) as server:
        async with asyncio.timeout(WAIT):
            # One is being told, three wait, four were dropped; each is given up in time.
            while server.plugin("stuck").calls < 3:
                await asyncio.sleep(0.01)
    assert any("stuck" in said for said in logged(caplog, "changes dropped"))
    assert any(
        "did not end within 0.05 s" in record.getMessage() + (record.exc_text or "") for record in caplog.records
    )


async def test_a_reload_changes_filters_of_panes_that_are_watched(moorage_server, tmux_server):
    tmux_server.new("main", "printf 'secret riddle '; exec cat")
    async with serving(moorage_server, tmux_server, Ward) as server:
        ann = await server.as_user("operator")
        async with ann.connect("/ws/terminal/main") as socket:
            client = Client(socket)
            await client.text("****** riddle")
            await server.reload({"plugins": {"ward": {"word": "riddle"}}})
            await client.text("secret ******")
            await server.reload({"plugins": {"ward": {"enabled": False}}})
            await client.text("secret riddle")
            await server.reload({"plugins": {"ward": {"enabled": True}}})
            await client.text("secret ******")
            await heard(server, ("created", "main"))


async def test_plugins_hear_of_plugins_that_change(moorage_server, tmux_server):
    async with serving(moorage_server, tmux_server, Ward) as server:
        told = []
        server.app.bus.subscribe(Topic.PLUGIN_CHANGED, told.append)
        await server.reload({"plugins": {"ward": {"word": "x"}}})
        await server.reload({"plugins": {"ward": {"enabled": False}}})
        await server.reload({})
        assert told == [{"name": "ward", "state": "started"}, {"name": "ward", "state": "disabled"}]
        assert json.dumps(told)


async def test_recordings_are_filtered_too(moorage_server, tmux_server):
    tmux_server.new("main", "printf 'an old secret.'; exec cat")
    async with serving(moorage_server, tmux_server, Ward) as server:
        ann = await server.as_user("operator")
        made = (await ann.post("/api/sessions/main/recording")).json()["recording"]
        async with ann.connect("/ws/terminal/main") as socket:
            client = Client(socket)
            await client.text("old ******.")
            tmux_server.run("send-keys", "-t", "main", "-l", "a new secret!")
            await client.text("******!")
        cast = (await ann.get(f"/api/recordings/{made['id']}/cast")).text
    text = "".join(json.loads(line)[2] for line in cast.split("\n")[1:-1])
    assert "an old ******." in text
    assert "a new ******!" in text
    assert "secret" not in cast
