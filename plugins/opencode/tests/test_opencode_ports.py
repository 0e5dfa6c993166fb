"""Ports of loopback are everybody's, and OpenCode is told a password at its own: it must be its own."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from sessionserver import coding, starts, until

HEALTHY = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n{"healthy":true,"version":"66"}'
)


class Squatter:
    """Answers at a port as OpenCode does, and keeps what it is told."""

    def __init__(self, address: str, port: int) -> None:
        self.heard: list[bytes] = []
        self._listener = socket.create_server(
            (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                self.heard.append(peer.recv(65536))
                peer.sendall(HEALTHY)

    def close(self) -> None:
        # A thread in accept() does not see that it is closed.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with coding(tmp_path_factory.mktemp("ports"), "ann") as running:
        yield running


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_who_takes_the_port_of_another_session_is_not_told_its_password(server, address):
    """Another session, or user of the machine, is faster than OpenCode, whose start takes a second."""
    project = server.project(f"slow-{address}", slow=3)
    answers = []
    with server.api("ann") as ann:
        body = {"project_path": str(project)}
        asking = threading.Thread(target=lambda: answers.append(ann.post("/api/sessions", json=body)))
        asking.start()
        until(lambda: starts(project), "the start of the program")
        session = next(one for one in ann.get("/api/sessions").json() if one["project_path"] == str(project))
        ports = json.loads((server.workload_folder(session) / "state.json").read_text())["ports"]
        squatter = Squatter(address, ports["opencode"])
        try:
            asking.join(60)
        finally:
            squatter.close()
        assert squatter.heard == []
        assert answers[0].status_code == 500
        (project / "standin.json").unlink()
        again = ann.post(f"/api/sessions/{session['id']}/resume")
        assert (again.status_code, again.json()["status"]) == (200, "running")
        assert ann.get(f"/api/session/{session['id']}/code/session").json() == []
