"""Recordings of two who share something: two servers on one database, the plugin before and after a reload."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time

import pytest
from moorage_tmux.recording.files import CastFile, Folder, StillWritten, identity
from terminals import api, serving, token
from waits import WAIT


def until(ask):
    """What `ask` gives, once that is something."""
    deadline = time.monotonic() + WAIT
    while not (found := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_server_leaves_the_recordings_of_others_alone(tmux_server, tmp_path):
    tmux_server.cat("main")
    url = f"sqlite://{tmp_path}/shared.db"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "a", tmux_server, url) as one:
        one.add_user("ann", "operator")
        one.keys = {"ann": token(one, "ann")}
        with api(one, "ann") as ann:
            made = ann.post("/api/sessions/main/recording").json()["recording"]["id"]
            assert ann.get(f"/api/recordings/{made}/cast").content  # So that it is in the file.
        one.kill()
        # Its recording has no end, and its file is elsewhere; nor may others count it, or delete it to have room.
        with serving(tmp_path / "b", tmux_server, url, recordings_bytes=128 * 1024) as other:
            other.keys = {"ann": token(other, "ann")}
            with api(other, "ann") as ann:
                assert ann.get("/api/recordings").json() == {"recordings": [], "total": 0}
                assert ann.get(f"/api/recordings/{made}").status_code == 404
                theirs = ann.post("/api/sessions/main/recording").json()["recording"]["id"]
                assert [each["id"] for each in ann.get("/api/recordings").json()["recordings"]] == [theirs]
        one.start()
        with api(one, "ann") as ann:
            found = until(lambda: [r for r in ann.get("/api/recordings").json()["recordings"] if r["endedAt"]])
            assert [(each["id"], each["endReason"]) for each in found] == [(made, "interrupted")]
            assert found[0]["size"] == len(ann.get(f"/api/recordings/{made}/cast").content) > 0


async def test_a_reload_ends_a_recording_and_breaks_none(moorage_server, tmux_server):
    tmux_server.new("main", "i=0; while :; do i=$((i+1)); echo line $i; done")
    options = {"mount": ["/"], "socket_name": tmux_server.name, "recording": "always"}
    async with moorage_server("tmux", config={"plugins": {"tmux": options}}) as server:
        ann = await server.as_user("operator")

        async def all_of_them():
            return (await ann.get("/api/recordings")).json()["recordings"]

        for number, scrollback in enumerate((100, 200, 300), 1):
            async with asyncio.timeout(WAIT):
                while len(made := await all_of_them()) < number:  # Each life records before it ends.
                    await asyncio.sleep(0.05)
            await server.reload({"plugins": {"tmux": {"scrollback_lines": scrollback}}})
        async with asyncio.timeout(WAIT):
            while len(ended := [each for each in await all_of_them() if each["endedAt"]]) < 3:
                await asyncio.sleep(0.05)
        assert made[-1]["id"] == ended[-1]["id"]
        with contextlib.closing(
            sqlite3.connect(server.plugin("tmux").terminals.hub.data_dir.parents[1] / "moorage.db")
        ) as database:
            told = database.execute(
                "SELECT data FROM core_audit_events WHERE action = 'tmux.recording_ended'"
            ).fetchall()
        assert [json.loads(data)["reason"] for (data,) in told] == ["server_stopped"] * 3, "each ended once"
        for each in ended:
            assert each["endReason"] == "server_stopped"
            cast = (await ann.get(f"/api/recordings/{each['id']}/cast")).content
            assert len(cast) == each["size"]
            assert [json.loads(line)[1] for line in cast.splitlines()[1:]][-1] == "x"


def test_what_is_written_is_not_mended(tmp_path):
    folder = Folder(tmp_path)
    file = CastFile(folder.path("rec_abcdefgh"))
    file.write(['{"version": 3}\n', '[0.500, "o", "x"]\n', "[0.2"])
    with pytest.raises(StillWritten):
        folder.mend("rec_abcdefgh")
    file.close()
    assert folder.mend("rec_abcdefgh") == (0.5, len('{"version": 3}\n[0.500, "o", "x"]\n'))


def test_a_folder_keeps_its_name(tmp_path):
    path = tmp_path / "recordings.id"
    name = identity(path)
    assert identity(path) == name
    path.write_text("")  # As a crash of the machine may leave it.
    assert identity(path) not in ("", name)
