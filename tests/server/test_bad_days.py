"""Starting and stopping when something is wrong: one clear paragraph, the right exit code, and never a hang."""

import signal
import socket
import subprocess
import time

import httpx
import pytest
from fakedist import probe
from harness import MOORAGE, Server, environment
from moorage import lifecycle
from moorage.config import load
from moorage.errors import StartError
from moorage.server import engines
from waits import WAIT


@pytest.fixture
def make(tmp_path):
    made = []

    def make(config=None, **plugins):
        site, folder = tmp_path / "site", tmp_path / "server"
        folder.mkdir()
        for name, how in plugins.items():
            probe(site, name, **how)
        config = {"plugins": {name: {"enabled": True} for name in plugins}, **(config or {})}
        made.append(Server(folder, config, env={"PYTHONPATH": str(site)}))
        return made[-1]

    yield make
    for server in made:
        if server.process is not None:
            server.kill()


def outcome(server, timeout=WAIT):
    process = server.spawn()
    said, _ = process.communicate(timeout=timeout)
    server.process = None
    return process.returncode, said, server.stderr


def test_a_certificate_that_is_none_is_found_before_anything_starts(make, tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nonsense")
    code, said, log = outcome(make({"server": {"tls_cert": str(wrong), "tls_key": str(wrong)}}))
    assert code == 2
    assert "tls_cert and tls_key" in log
    assert "Traceback" not in log
    assert "ready" not in said


def test_a_missing_key_file_is_named(make, tmp_path):
    cert = tmp_path / "cert.pem"
    cert.write_text("")
    code, _, log = outcome(make({"server": {"tls_cert": str(cert), "tls_key": str(tmp_path / "key.pem")}}))
    assert code == 2
    assert f"[server] tls_key: cannot read {tmp_path / 'key.pem'}: No such file" in log


def test_an_encrypted_key_is_refused_and_not_asked_for(make, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-days", "2", "-subj", "/CN=localhost", "-passout", "pass:abcd"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", *subject, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    code, _, log = outcome(make({"server": {"tls_cert": str(cert), "tls_key": str(key)}}))
    assert code == 2
    assert "is encrypted" in log


def test_a_data_folder_that_is_a_file(make, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, log = outcome(make({"data_dir": str(tmp_path / "file")}))
    assert code == 4
    assert f"{tmp_path / 'file'}" in log
    assert "Traceback" not in log


def test_a_database_that_is_away(make):
    code, _, log = outcome(make({"database": {"url": "postgres://u:s3cret@127.0.0.1:1/x"}}))
    assert code == 4
    assert "cannot be reached" in log
    assert "s3cret" not in log
    assert "Traceback" not in log


def test_a_unix_socket_that_is_in_use_is_left_alone(make, tmp_path):
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        code, _, log = outcome(make({"server": {"listen": [f"unix:{path}"]}}))
        assert code == 5
        assert "Address already in use" in log
        assert path.exists()


@pytest.mark.parametrize("ends", [None, OSError("no more descriptors")])
async def test_an_engine_that_ends_by_itself_is_no_success(tmp_path, monkeypatch, ends):
    async def serve(*_):
        if ends is not None:
            raise ends

    monkeypatch.setattr(engines, "serve", serve)
    config = tmp_path / "moorage.toml"
    config.write_text('[server]\nlisten = ["127.0.0.1:0"]\n')
    with pytest.raises(StartError if ends is None else OSError) as caught:
        await lifecycle.run(load(config, env={}), safe_mode=False, say=lambda _: None)
    assert getattr(caught.value, "exit_code", 1) == 1


HANGING = """
    @hookimpl
    async def moorage_startup(self, hub):
        import time

        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(600)
                except asyncio.CancelledError:
                    pass

        self.tasks = [asyncio.create_task(stubborn()), asyncio.create_task(asyncio.to_thread(time.sleep, 600))]
"""


def test_what_a_plugin_left_running_does_not_keep_the_process(make):
    server = make({"server": {"plugin_stop_timeout": 0.5}}, bad={"body": HANGING}).start()
    server.signal(signal.SIGTERM)
    assert server.process.wait(12) == 0
    assert "ended what would not end" in server.stderr


def test_an_access_log_that_nobody_reads_stops_nothing(make):
    server = make({"limits": {"enabled": False}}).start()
    with httpx.Client(base_url=server.url, timeout=WAIT) as client:
        for _ in range(800):  # More than a pipe holds.
            client.get("/health")
    assert server.stop(timeout=10) == 0


def test_no_standard_output_at_all(make):
    server = make()
    command = f'exec "$0" serve --config "{server.config_file}" >&-'
    with (server.folder / "stderr.log").open("w") as log:
        process = subprocess.Popen(["sh", "-c", command, MOORAGE], stderr=log, env=environment(**server.env))
    try:
        server.wait_healthy(time.monotonic() + WAIT)
        httpx.get(f"{server.url}/health")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert "Traceback" not in server.stderr
    finally:
        process.kill()
        process.wait()


def test_a_reload_that_is_asked_for_during_the_start_is_done_after_it(make, tmp_path):
    begun, go = tmp_path / "begun", tmp_path / "go"
    body = f"""
        @hookimpl
        async def moorage_startup(self, hub):
            from pathlib import Path
            Path({str(begun)!r}).touch()
            while not Path({str(go)!r}).exists():
                await asyncio.sleep(0.02)
    """
    server = make(slow={"body": body})
    server.spawn()
    wait_for(begun.exists)
    server.write_config({"limits": {"general": "77/minute"}})
    server.signal(signal.SIGHUP)
    go.touch()
    server.wait_healthy(time.monotonic() + WAIT)
    wait_for(lambda: httpx.get(f"{server.url}/slow/greet").headers["x-ratelimit-limit"] == "77")
    assert server.stop() == 0


def wait_for(done, timeout=WAIT):
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)
