"""The real OpenCode: what it was told outlives a killed server, a stop, and an upgrade."""

from __future__ import annotations

import pytest
from sessionserver import Coding, alive, becomes

START = 180.0
"""Seconds in which OpenCode starts, however busy the machine."""


@pytest.mark.timeout(600)
def test_conversations_outlive_a_killed_server_a_stop_and_an_upgrade(tmp_path, opencode_binary):
    isolated = {"runtimes": {"process": {"isolation": "auto"}}}
    server = Coding(tmp_path, isolated, binary=str(opencode_binary), start_timeout=START)
    try:
        server.start()
        server.people("ann")
        with server.api("ann") as ann:
            project = server.project("shop")
            answer = ann.post("/api/sessions", json={"project_path": str(project)}, timeout=START)
            assert answer.status_code == 201, answer.text
            session = answer.json()
            assert session["image_digest"].startswith("opencode@")
            code = f"/api/session/{session['id']}/code/session"
            made = ann.post(code, json={"title": "A question"}, timeout=START).json()

            def remembers():
                return [one["title"] for one in ann.get(code, timeout=START).json() if one["id"] == made["id"]]

            _, before = server.keeper(session)
            server.kill()
            assert alive(before), "it goes on without the server"
            server.start()
            assert remembers() == ["A question"]
            assert server.keeper(session)[1] == before, "it was found, not started again"

            assert ann.post(f"/api/sessions/{session['id']}/stop").status_code == 204
            assert not alive(before)
            assert remembers() == ["A question"], "being used, it is resumed"
            assert becomes(ann, session, "running")["container_id"] != session["container_id"]

            upgraded = ann.post(f"/api/sessions/{session['id']}/upgrade", timeout=START).json()
            assert (upgraded["status"], upgraded["id"]) == ("running", session["id"])
            assert remembers() == ["A question"]
            assert ann.get(f"/api/sessions/{session['id']}/stats").json()["stats"]["memory_bytes"] > 50_000_000
            assert ann.delete(f"/api/sessions/{session['id']}").status_code == 204
            assert ann.get(code).status_code == 404
    finally:
        server.stop()
