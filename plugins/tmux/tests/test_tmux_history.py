"""Pages of a pane's history and search in it: over HTTP, against what the program wrote."""

from __future__ import annotations

import asyncio
import shlex
from types import SimpleNamespace

import pytest
from moorage.api import Manifest, Plugin, TooManyRequests, hookimpl
from moorage_tmux.captures import LAST, Captures, Rows, _wrapped
from moorage_tmux.guards import HIDDEN
from moorage_tmux.history import History, Question, _put
from moorage_tmux.tmux import TmuxError, TmuxGone
from terminals import ISO, api, session

WIDE = "漢字"


def shows(tmux, request, script, *, limit=50_000):
    """A session in which a Python script has printed its lines."""
    tmux.run("start-server", ";", "set-option", "-g", "history-limit", str(limit))
    done = f"shown-{request.node.name[:30]}"
    name = session(tmux, request, f"python3 -c {shlex.quote(script)}; {tmux.signal(done)}; exec cat")
    tmux.run("wait-for", done)
    return name


def page(client, name, pane="0", **query):
    answer = client.get(f"/api/sessions/{name}/panes/{pane}/history", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def find(client, name, q, **query):
    answer = client.get(f"/api/sessions/{name}/panes/0/history/search", params={"q": q, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module", autouse=True)
def other(tmux):
    """tmux's options can be set only while there is a session."""
    tmux.new("other")


def test_pages_are_every_row_once(server, tmux, request):
    name = shows(tmux, request, "for i in range(3000): print(f'row {i}')")
    with api(server, "vic") as vic:
        newest = page(vic, name)
        assert newest.keys() == {"session", "pane", "paneId", "total", "from", "limit", "lines", "timestamp"}
        assert (newest["session"], newest["pane"], newest["limit"]) == (name, "0", 200)
        assert ISO.match(newest["timestamp"])
        assert newest["paneId"] == tmux.run("display-message", "-p", "-t", f"{name}:", "#{pane_id}").strip()
        total = newest["total"]
        assert total == 3001, "all rows, and the one with the cursor"
        assert newest["from"] == total - 200
        assert newest["lines"][-2:] == [
            {"n": 2999, "text": "row 2999", "wrapped": False},
            {"n": 3000, "text": "", "wrapped": False},
        ]
        rows = []
        while len(rows) < total:
            more = page(vic, name, **{"from": len(rows), "limit": 1000})
            assert more["lines"], "no end"
            rows += more["lines"]
        assert [row["n"] for row in rows] == list(range(total))
        assert [row["text"] for row in rows[:-1]] == [f"row {i}" for i in range(3000)]
        assert page(vic, name, **{"from": total})["lines"] == []
        assert page(vic, name, **{"from": 10**9})["lines"] == []
        assert [row["text"] for row in page(vic, name, limit=1, **{"from": 17})["lines"]] == ["row 17"]
        assert [row["n"] for row in page(vic, name, limit=1000, **{"from": 2990})["lines"]] == list(range(2990, 3001))


def test_a_pane_without_history(server, tmux, request):
    name = session(tmux, request)
    with api(server, "vic") as vic:
        answer = page(vic, name)
        assert (answer["total"], answer["from"], len(answer["lines"])) == (24, 0, 24)
        assert page(vic, name, limit=10)["from"] == 14
        assert find(vic, name, "x")["matches"] == []


async def test_pages_and_searches_of_a_flood_are_consistent(server, tmux, request):
    tmux.run("set-option", "-g", "history-limit", "500000")
    script = "import time\nfor i in range(1000000, 1450000):\n print(i)\n if i % 200 == 0: time.sleep(0.001)"
    name = session(tmux, request, f"tmux -L {tmux.name} wait-for go; python3 -c {shlex.quote(script)}; exec cat")
    moved = set()
    with api(server, "vic") as vic:
        tmux.run("wait-for", "-S", "go")
        for begin in range(0, 6000, 200):
            answer = await asyncio.to_thread(page, vic, name, limit=50, **{"from": begin})
            newest = await asyncio.to_thread(page, vic, name, limit=50)
            moved |= {answer["total"], newest["total"]}
            for row in (*answer["lines"], *newest["lines"]):
                assert row["text"] in ("", str(1000000 + row["n"])), "a row is where its number says"
            if answer["total"] > begin + 100:
                assert [row["n"] for row in answer["lines"]] == list(range(begin, begin + 50))
        found = await asyncio.to_thread(find, vic, name, "999", limit=500)
        assert len(found["matches"]) > 5
        assert all(match["text"] == str(1000000 + match["n"]) for match in found["matches"])
    assert len(moved) > 5, "nothing was written meanwhile"
    tmux.run("kill-session", "-t", name)


def test_search(server, tmux, request):
    script = "for i in range(1000): print(f'Line {i} a.b*c [x]')"
    name = shows(tmux, request, script)
    with api(server, "vic") as vic:
        answer = find(vic, name, "line 77")
        assert answer.keys() == {
            *("session", "pane", "paneId", "q", "total", "searchedFrom", "matches", "more", "next", "timestamp")
        }
        assert (answer["q"], answer["total"], answer["searchedFrom"]) == ("line 77", 11, 0)
        assert (answer["more"], answer["next"]) == (False, None)
        assert answer["matches"][0] == {"n": 77, "text": "Line 77 a.b*c [x]", "start": 0, "end": 7, "rows": 1}
        assert [match["n"] for match in answer["matches"]] == [77, *range(770, 780)]
        assert find(vic, name, "line 77", case="1")["total"] == 0
        assert find(vic, name, "Line 77", case="1")["total"] == 11
        assert find(vic, name, "a.b*c [x")["total"] == 1000, "no pattern, but the text"
        assert find(vic, name, ".*")["total"] == 0
        assert find(vic, name, "x] ")["total"] == 0, "blanks at ends are nothing"


def test_matches_by_pages(server, tmux, request):
    name = shows(tmux, request, "for i in range(90): print('ab ab ab')")
    with api(server, "vic") as vic:
        for order in ("oldest", "newest"):
            seen, begin, pages = [], {}, 0
            while begin.get("from", "") is not None:
                pages += 1
                answer = find(vic, name, "AB", limit=7, order=order, **begin)
                assert answer["total"] == 270
                seen += [(match["n"], match["start"]) for match in answer["matches"]]
                begin = {"from": answer["next"]}
                assert answer["more"] is (answer["next"] is not None)
            assert pages == 39
            assert seen == sorted(seen, reverse=order == "newest")
            assert len(set(seen)) == len(seen) == 270
        assert find(vic, name, "ab", **{"from": 50})["matches"][0]["n"] == 50
        assert find(vic, name, "ab", order="newest", **{"from": "50"})["matches"][0] | {"text": ""} == {
            **{"n": 50, "start": 6, "end": 8, "rows": 1},
            "text": "",
        }


def test_a_match_over_the_end_of_a_row(server, tmux, request):
    lines = [
        "x" * 76 + "need" + "le",
        "y" * 79 + WIDE + "!",
        "z" * 80,
        "zebra",
        "w" * 79 + "  blank",
        "\U0001f600" * 45,
    ]
    name = shows(tmux, request, f"for line in {lines!r}: print(line)")
    with api(server, "vic") as vic:
        (match,) = find(vic, name, "NEEDLE")["matches"]
        assert match == {"n": 0, "text": "x" * 76 + "needle", "start": 76, "end": 82, "rows": 2}
        (match,) = find(vic, name, "y" + WIDE)["matches"]
        assert (match["n"], match["start"], match["rows"]) == (2, 78, 2), "the last cell is too narrow for it"
        (match,) = find(vic, name, WIDE + "!")["matches"]
        assert match == {"n": 3, "text": WIDE + "!", "start": 0, "end": 3, "rows": 1}
        assert find(vic, name, "zz" + "zebra")["total"] == 0, "a full row that ends there is not joined"
        (match,) = find(vic, name, "w  blank")["matches"]
        assert (match["n"], match["start"]) == (6, 78), "a blank in the last cell counts"
        (match,) = find(vic, name, "\U0001f600" * 45)["matches"]
        assert (match["n"], match["rows"], match["end"]) == (8, 2, 45), "characters are counted, not units of UTF-16"
        rows = page(vic, name)["lines"]
        assert [row["n"] for row in rows if row["wrapped"]] == [0, 2, 6, 8]
        assert rows[6]["text"] + rows[7]["text"] == lines[4]
        assert rows[4]["text"] == "z" * 80


def test_the_alternate_screen_is_what_is_shown(server, tmux, request):
    script = "for i in range(100): print('main', i)\nprint('\\x1b[?1049h\\x1b[Halternate', end='', flush=True)"
    name = shows(tmux, request, script)
    with api(server, "vic") as vic:
        rows = [row["text"] for row in page(vic, name)["lines"]]
        assert rows[:77] == [f"main {i}" for i in range(77)], "above it is the scrollback"
        assert rows[77] == "alternate"
        assert find(vic, name, "main 99")["total"] == 0
        assert find(vic, name, "alternate")["matches"][0]["n"] == 77


def test_what_cannot_be_asked(server, tmux, request):
    name = session(tmux, request)
    path = f"/api/sessions/{name}/panes/0/history"
    with api(server, "vic") as vic:
        for query in ("from=-1", "from=x", "limit=0", "limit=1001", "from=1.5", "limit="):
            answer = vic.get(f"{path}?{query}")
            assert (answer.status_code, answer.json()["error"]) == (400, "VALIDATION_ERROR"), query
        for query in ("", "q=", "q=" + "x" * 201, "q=x&limit=501", "q=x&from=a", "q=x&case=maybe", "q=x&order=up"):
            answer = vic.get(f"{path}/search?{query}")
            assert (answer.status_code, answer.json()["error"]) == (400, "VALIDATION_ERROR"), query
        for missing in (f"/api/sessions/{name}/panes/9/history", "/api/sessions/nope/panes/0/history"):
            assert vic.get(missing).status_code == 404
            assert vic.get(missing + "/search?q=x").status_code == 404
        assert vic.get(f"/api/sessions/{name}/panes/%25999999/history").json()["details"]["code"] == "PANE_NOT_FOUND"
        assert vic.get(f"/api/sessions/{name}/panes/0;kill-server/history").status_code == 404
        ids = tmux.run("list-panes", "-a", "-F", "#{pane_id} #{session_name}").split()
        other = next(pane for pane, of in zip(ids[::2], ids[1::2], strict=True) if of == "other")
        assert vic.get(f"/api/sessions/{name}/panes/{other.replace('%', '%25')}/history").status_code == 404


async def test_many_searches_at_once(server, tmux, request):
    name = shows(tmux, request, "for i in range(20000): print('some text to search', i)")
    with api(server, "vic") as vic:
        answers = await asyncio.gather(*(asyncio.to_thread(find, vic, name, f"search {i}") for i in range(12)))
    assert [answer["total"] > 0 for answer in answers] == [True] * 12


async def test_a_second_search_waits_and_a_third_is_not_kept_for_ever(monkeypatch):
    going, tried = asyncio.Event(), []

    async def rows(self, pane, start, end):
        tried.append(pane)
        await going.wait()
        return Rows(0, 1, 0, ["found"], [False])

    async def pane(name, spec):
        return SimpleNamespace(key=name, name=name), SimpleNamespace(id="%1", rows=24, index=0)

    monkeypatch.setattr(Captures, "rows", rows)
    whole = SimpleNamespace(whole=lambda session, pane, text: text)
    config = SimpleNamespace(command_timeout=0.2)
    history = History(SimpleNamespace(tmux=None, config=config, pane=pane, guards=whole))
    question = Question("found", True, None, 10, "oldest")
    first = asyncio.create_task(history.search("main", None, question))
    while not tried:
        await asyncio.sleep(0)
    with pytest.raises(TooManyRequests):
        await history.search("main", None, question)
    assert tried == ["%1"], "it was not asked for at all"
    other = asyncio.create_task(history.search("other", None, question))
    second = asyncio.create_task(history.search("main", None, question))
    await asyncio.sleep(0.05)
    going.set()
    assert [found["total"] for found in await asyncio.gather(first, second, other)] == [1, 1, 1]
    assert not history._searching


async def test_a_capture_is_bounded(tmux_server, monkeypatch):
    pane = tmux_server.new("main", f"seq 5000; {tmux_server.signal('done')}; exec cat")
    tmux_server.run("wait-for", "done")
    captures = Captures(tmux_server.tmux, 5.0)
    assert len((await captures.rows(pane, -5000, LAST)).rows) > 1500
    monkeypatch.setattr("moorage_tmux.captures.MAX_BYTES", 5000)
    with pytest.raises(TmuxError, match="too large"):
        await captures.rows(pane, -5000, LAST)
    with pytest.raises(TmuxError, match="can't find"):
        await captures.rows("%99", 0, 1)
    with pytest.raises(ValueError, match="ids"):
        await captures.rows("main; kill-server", 0, 1)
    monkeypatch.setattr("moorage_tmux.captures.MAX_BYTES", 10**6)
    tmux_server.run("kill-server")
    with pytest.raises(TmuxGone):
        await captures.rows(pane, 0, 1)


@pytest.mark.parametrize(
    ("rows", "joined", "wrapped", "kept"),
    [
        (["abc", "def"], ["abcdef"], [True, False], ["abc", "def"]),
        (["abc", "def"], ["abc", "def"], [False, False], ["abc", "def"]),
        (["ab ", "def"], ["ab def"], [True, False], ["ab ", "def"]),
        # A version that fills the captured rows up, but not the joined ones.
        (["ab ", "漢 ", "d  "], ["ab漢", "d"], [True, False, False], ["ab", "漢", "d"]),
        (["abc", "   ", "x  "], ["abc  ", "x"], [True, False, False], ["abc", "", "x"]),
        # Blanks in the joined line that no row has.
        (["abc", "x"], ["abc  ", "x"], [False, False], ["abc", "x"]),
        (["", "", "x"], ["", "", "x"], [False, False, False], ["", "", "x"]),
        (["a", "b", "c"], [], [False, False, False], ["a", "b", "c"]),
        (["a", "b"], ["zzz"], [False, False], ["a", "b"]),
    ],
)
def test_which_rows_go_on(rows, joined, wrapped, kept):
    assert _wrapped(rows, joined) == wrapped
    assert rows == kept


@pytest.mark.parametrize(
    ("shown", "rows"),
    [
        ("one\nsecret\nthree", ["one", "sec", "ret", "three"]),
        ("one\n******\nthree", ["one", "***", "***", "three"]),
        ("one\n*\nthree", ["one", "*", "", "three"]),
        ("one\na longer one\nthree", ["one", "a l", "onger one", "three"]),
        ("one\nthree", ["one", "", "", "three"]),
        ("one\n\n\nthree", ["one", "", "", "three"]),
        ("", ["", "", "", ""]),
        ("[hidden]", ["[hidden]", "", "", ""]),
        ("one\nx\ny\nz\nthree", ["one", "x", "", "three"]),
    ],
)
def test_what_a_filter_changed_is_cut_into_rows_again(shown, rows):
    found = Rows(0, 4, 0, ["one", "sec", "ret", "three"], [False, True, False, False])
    _put(found, ["one", "secret", "three"], shown.split("\n"))
    assert found.rows == rows


# -- what other plugins do to it ---------------------------------------------------------------------------------------


class Mask:
    """Masks a word, wherever it is whole."""

    def feed(self, text):
        return text

    def flush(self):
        return ""

    def whole(self, text):
        if "fail" in text:
            raise RuntimeError("cannot")
        return text.replace("hunter2", "*******").replace("block begins\nx\nx\nblock ends\n", "[block]\n")


class Masks(Plugin):
    manifest = Manifest(name="masks", version="1", summary="Masks passwords", requires=("tmux",))

    @hookimpl
    def tmux_output_filter(self, session, pane):
        return Mask()

    @hookimpl
    def tmux_input(self, keys):
        return "not that" if "rm" in keys else None


async def test_what_is_hidden_is_neither_shown_nor_found(moorage_server, tmux_server):
    texts = {
        "main": "1\\n" + "z" * 77 + "hunter2\\npassword: hunter2",
        "cut": "1\\nblock begins\\nx\\nx\\nblock ends\\n2",
        "broken": "fail\\nhunter2",
    }
    for name, text in texts.items():
        tmux_server.new(name, f"printf '{text}'; {tmux_server.signal(name)}; exec cat")
        tmux_server.run("wait-for", name)
    config = {"plugins": {"tmux": {"mount": ["/"], "socket_name": tmux_server.name}}}
    async with moorage_server("tmux", Masks, config=config) as server:
        ann = await server.as_user("operator")
        history = "/api/sessions/main/panes/0/history"
        rows = [row["text"] for row in (await ann.get(history)).json()["lines"]]
        assert rows[:4] == ["1", "z" * 77 + "***", "****", "password: *******"]
        for q, total in (("hunter2", 0), ("unter", 0), ("*******", 2), ("password", 1)):
            found = (await ann.get(f"{history}/search", params={"q": q})).json()
            assert found["total"] == total, q
        for path in ("/api/tmux/sessions/main/panes/0/capture", "/api/terminal/sessions/main/scrollback"):
            shown = (await ann.get(path)).json()["content"]
            assert shown.endswith("***\n****\npassword: *******")
        rows = [row["text"] for row in (await ann.get("/api/sessions/cut/panes/0/history")).json()["lines"]]
        assert rows[:6] == ["1", "[block]", "", "", "", "2"]
        assert (await ann.get("/api/terminal/sessions/broken/capture")).json()["content"] == HIDDEN
        assert (await ann.get("/api/sessions/broken/panes/0/history/search?q=hunter")).json()["total"] == 0
        refused = await ann.post("/api/terminal/sessions/main/keys", json={"keys": "rm -rf /"})
        assert (refused.status_code, refused.json()["error"], refused.json()["code"]) == (
            403,
            "not that",
            "INPUT_REFUSED",
        )
