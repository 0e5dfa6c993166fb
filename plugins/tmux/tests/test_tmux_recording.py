"""Recordings through a real server over a real tmux: what they hold, who may make and see them, how they end."""

from __future__ import annotations

import asyncio
import json
import re
import stat

from terminals import ISO, api, connect, ids, session

DOWNLOAD = re.compile(r"""attachment; filename="([^"]+)"; filename\*=UTF-8''(\S+)""")


def folder(server):
    return server.data_dir / "plugins" / "tmux" / "recordings"


def events(text):
    """The events of a recording: (seconds since the beginning, code, text)."""
    at, found = 0.0, []
    lines = text.split("\n")
    head = json.loads(lines[0])
    assert lines[-1] == ""
    for line in lines[1:-1]:
        time, code, data = json.loads(line)
        at = at + time if head["version"] == 3 else time
        found.append((round(at, 3), code, data))
    return head, found


def stream(text, code="o"):
    return "".join(data for _, kind, data in events(text)[1] if kind == code)


def marks(text):
    return [data for _, kind, data in events(text)[1] if kind == "m"]


async def test_record_and_download(server, tmux, request):
    name, who = session(tmux, request), await asyncio.to_thread(ids, server)
    path = f"/api/sessions/{name}/recording"
    async with connect(server, "vic", f"/ws/terminal/{name}") as vic, connect(server, "ada") as ada:
        assert (await vic.next("connected"))["recording"] is None
        await ada.next("sessions")
        with api(server, "ann") as ann:
            answer = await asyncio.to_thread(ann.post, path)
            assert answer.status_code == 201, answer.text
            made = answer.json()["recording"]
            notice = {"id": made["id"], "startedAt": made["startedAt"], "by": {"id": who["ann"], "name": "ann"}}
            for client in (vic, ada):
                assert (await client.next("recording", sessionId=name))["recording"] == notice
            tmux.run("send-keys", "-t", name, "-l", "grüße 漢字 \U0001f600")
            await vic.text("\U0001f600")
            tmux.run("send-keys", "-t", name, "-H", "1b", "5b", "33", "31", "6d", "72")
            await vic.text("r")
            entry = (await asyncio.to_thread(ann.get, f"/api/sessions/{name}")).json()
            assert entry["recording"] == notice
            live = (await asyncio.to_thread(ann.get, f"/api/recordings/{made['id']}/cast")).text
            assert stream(live).endswith("grüße 漢字 \U0001f600\x1b[31mr")
            async with connect(server, "vic", f"/ws/terminal/{name}") as late:
                assert (await late.next("connected"))["recording"] == notice
                assert (await late.next("recording"))["recording"] == notice
                assert not any(message["type"] == "output" for message in late.messages), "before the screen"
            answer = await asyncio.to_thread(ann.delete, path)
            assert (await vic.next("recording"))["recording"] is None
            ended = answer.json()["recording"]
            assert (ended["endReason"], ended["live"], ended["startedBy"]) == ("stopped", False, notice["by"])
            assert ISO.match(ended["endedAt"])
            answer = await asyncio.to_thread(ann.get, f"/api/recordings/{made['id']}/cast")
    assert answer.headers["content-type"] == "application/x-asciicast"
    head, found = events(answer.text)
    assert (head["version"], head["term"]["cols"], head["term"]["rows"], head["title"]) == (3, 80, 24, name)
    assert [code for _, code, _ in found[-2:]] == ["m", "x"]
    assert abs(found[-1][0] - ended["duration"]) < 0.002
    assert ended["size"] == len(answer.content) == int(answer.headers["content-length"])
    file = folder(server) / f"{made['id']}.cast"
    assert file.read_bytes() == answer.content
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
