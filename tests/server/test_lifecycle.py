"""Start, drain, stop, and being killed: over a real process."""

import asyncio
import json
import os
import select
import shlex
import signal
import socket
import ssl
import subprocess
import time

import httpx
import pytest
import websockets
from fakedist import probe
from harness import Server, free_port, running
from waits import WAIT


@pytest.fixture(params=["hypercorn", "uvicorn"])
def server(request, tmp_path):
    site = tmp_path / "site"
    body = """
    @hookimpl
    async def moorage_drain(self, hub):
        hub.log.info("probe drained")

    @hookimpl
    async def moorage_shutdown(self, hub):
        await hub.db.ping()
        hub.log.info("probe shut down", open_sockets=len(hub.sockets))
    """
    probe(site, "good", body=body)
    folder = tmp_path / "server"
    folder.mkdir()
    config = {"server": {"engine": request.param, "drain_timeout": 5.0}, "plugins": {"good": {"enabled": True}}}
    server = Server(folder, config, env={"PYTHONPATH": str(site)}, forked=False)
    yield server
    if server.process is not None:
        server.stop()


def test_programs_that_it_starts_do_not_hold_its_port(server):
    """The kernel closes a listening socket in every program that the server starts: it is marked so."""
    server.start()
    fds = f"/proc/{server.process.pid}/fd"
    port = f":{server.port:04X} 00000000:0000 0A"
    with open("/proc/net/tcp") as table:
        listening = {f"socket:[{line.split()[9]}]" for line in table if port in line}
    ours = [fd for fd in os.listdir(fds) if os.readlink(f"{fds}/{fd}") in listening]
    assert ours
    for fd in ours:
        with open(f"/proc/{server.process.pid}/fdinfo/{fd}") as info:
            flags = next(line for line in info if line.startswith("flags:"))
        assert int(flags.split()[1], 8) & os.O_CLOEXEC, fd


async def test_sigterm_finishes_requests_closes_sockets_and_exits_0(server):
    server.start()
    server.add_user("ann")
    headers = {"Cookie": server.cookie("ann")}
    async with (
        httpx.AsyncClient(base_url=server.url, headers=headers, timeout=WAIT) as client,
        websockets.connect(f"{server.ws_url}/good/echo", additional_headers=headers) as sock,
    ):
        slow = asyncio.create_task(client.get("/good/wait/1.0"))
        await sock.send("x")
        await sock.recv()
        await asyncio.sleep(0.2)  # The slow request must be under way; nothing outside tells when it is.
        process = server.process
        server.signal(signal.SIGTERM)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(sock.recv(), WAIT)
        assert closed.value.rcvd.code == 1001
        assert closed.value.rcvd.reason == "Server shutting down"
        assert (await slow).json() == {"waited": "1.0"}
    code = await asyncio.to_thread(process.wait, 10)
    assert code == 0
    log = server.stderr
    assert log.index("probe drained") < log.index("probe shut down")
    assert '"open_sockets": 0' in log or '"open_sockets":0' in log
    assert "Traceback" not in log
    server.process.stdout.close()
    server.process = None


def test_whoever_asks_again_and_again_for_the_end_gets_a_good_one(server):
    process = server.start().process
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        select.select([], [], [], 0.001)
    assert server.stop() == 0


def test_a_second_server_on_the_same_data_refuses_and_names_the_first(server):
    server.start()
    second = Server.__new__(Server)
    second.__dict__.update(server.__dict__)
    process = subprocess.run(
        [*server.process.args],
        env={**os.environ, **server.env},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert process.returncode == 4
    assert str(server.process.pid) in process.stderr
    assert httpx.get(f"{server.url}/health").status_code == 200


def test_kill_9_loses_nothing_committed_and_the_next_start_is_clean(server):
    server.start()
    server.add_user("ann")
    with server.client("ann") as client:
        for index in range(20):
            assert client.post("/api/v1/api-keys", json={"name": f"k{index}"}).status_code in (200, 201)
        server.kill()
    server.start()
    with server.client("ann") as client:
        assert client.get("/api/v1/api-keys?per_page=100").json()["meta"]["total"] == 20


def test_an_address_in_use_is_one_clear_paragraph(server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server.write_config({"server": {"listen": [f"127.0.0.1:{taken.getsockname()[1]}"]}})
        process = server.spawn()
        process.communicate(timeout=30)
    assert process.returncode == 5
    assert "Cannot listen on" in server.stderr
    assert "Traceback" not in server.stderr
    server.process = None


def test_a_wrong_key_names_the_nearest_and_exits_2(server):
    server.config_file.write_text(server.config_file.read_text() + "\n[sever]\nx = 1\n")
    process = server.spawn()
    process.communicate(timeout=30)
    assert process.returncode == 2
    assert "server" in server.stderr
    assert "Traceback" not in server.stderr
    server.process = None


def test_several_listeners_and_a_mount_on_a_port_of_its_own(tmp_path):
    site = tmp_path / "site"
    probe(site, "good")
    port, second = free_port(), free_port()
    folder = tmp_path / "server"
    folder.mkdir()
    unix = tmp_path / "m.sock"
    server = Server(
        folder,
        {"plugins": {"good": {"enabled": True, "mount": [f":{port}/", "/g"]}}},
        env={"PYTHONPATH": str(site)},
    )
    server.write_config({"server": {"listen": [f"127.0.0.1:{server.port}", f"127.0.0.1:{second}", f"unix:{unix}"]}})
    try:
        server.start()
        assert httpx.get(f"http://127.0.0.1:{port}/greet").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{second}/greet").status_code == 404
        assert httpx.get(f"http://127.0.0.1:{second}/g/greet").status_code == 200
        for path in ("/auth/me", "/api/auth/check"):
            assert httpx.get(f"http://127.0.0.1:{port}{path}").status_code == 401
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(unix))) as client:
            assert client.get("http://local/g/greet").status_code == 200
    finally:
        assert server.stop() == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        shlex.split(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
            f"-addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout {folder}/key.pem -out {folder}/cert.pem"
        ),
        check=True,
        capture_output=True,
    )
    return folder


def wait_for_health(client, process, server):
    """The first answer of a server whose health the harness cannot ask, because it speaks TLS."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        assert process.poll() is None, server.stderr
        try:
            return client.get("/health")
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(server.stderr)


def test_http2_over_tls_with_a_host_bound_cookie(tmp_path, certificate, server):
    context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    tls = {"tls_cert": str(certificate / "cert.pem"), "tls_key": str(certificate / "key.pem")}
    server.write_config({"server": tls})
    process = server.spawn()
    try:
        with httpx.Client(base_url=f"https://127.0.0.1:{server.port}", verify=context, http2=True) as client:
            answer = wait_for_health(client, process, server)
            want = "HTTP/2" if server.config["server"]["engine"] == "hypercorn" else "HTTP/1.1"
            assert answer.http_version == want
            assert "max-age" in answer.headers["strict-transport-security"]
            server.add_user("ann")
            body = {"username": "ann", "password": "correct horse battery"}
            answer = client.post("/api/auth/login", json=body)
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-")
            assert "Secure" in cookie
            assert "HttpOnly" in cookie
            assert client.get("/good/read").status_code == 200
    finally:
        server.stop()


def test_access_log_has_templates_and_no_query(tmp_path):
    site = tmp_path / "site"
    probe(site, "good")
    folder = tmp_path / "server"
    folder.mkdir()
    with running(
        folder, {"plugins": {"good": {"enabled": True}}}, env={"PYTHONPATH": str(site)}, forked=False
    ) as server:
        httpx.get(f"{server.url}/good/wait/0?token=s3cret")
        process = server.process
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        lines = [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]
    routes = [line["route"] for line in lines]
    assert "/good/wait/{seconds}" in routes
    assert not any("s3cret" in json.dumps(line) for line in lines)
