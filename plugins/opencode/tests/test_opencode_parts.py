"""The parts of these tests: the real OpenCode answers by the scripted provider."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from realparts.llm import Call, Llm, Say
from realparts.opencode import OpenCode


@pytest.fixture
def opencode(opencode_binary: Path, llm: Llm, tmp_path: Path) -> Iterator[OpenCode]:
    """An OpenCode without Moorage."""
    server = OpenCode(tmp_path, llm.config())
    yield server
    server.stop()


def test_a_prompt_is_answered_by_the_scripted_provider(opencode: OpenCode, llm: Llm) -> None:
    llm.script(
        "make a file", Call("bash", {"command": "echo made > made.txt", "description": "make"}), Say("It is made")
    )
    with opencode.client() as client:
        session = client.post("/session", json={}).json()["id"]
        answers: list[dict[str, object]] = []

        def prompt() -> None:
            parts = [{"type": "text", "text": "make a file"}]
            answers.append(client.post(f"/session/{session}/message", json={"parts": parts}).json())

        asking = threading.Thread(target=prompt)
        with client.stream("GET", "/event") as events:
            asking.start()
            for line in events.iter_lines():
                event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {"type": ""}
                if event["type"] == "permission.asked":
                    reply = client.post(f"/permission/{event['properties']['id']}/reply", json={"reply": "once"})
                    assert reply.status_code == 200, reply.text
                    break
        asking.join(60)
    assert "It is made" in json.dumps(answers)
    assert (opencode.workspace / "made.txt").read_text() == "made\n"
    assert set(llm.keys) == {"scripted-key"}


def test_the_sdk_is_found_by_node(opencode_sdk: Path) -> None:
    code = 'import { createOpencodeClient } from "@opencode-ai/sdk"; console.log(typeof createOpencodeClient)'
    script = opencode_sdk.parent / "probe.mjs"
    script.write_text(code)
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "function", done.stderr
