"""S25: a server that was just installed has no default secrets and tells nothing about itself."""

import re
import stat

import httpx
import pytest
from fakedist import probe
from harness import Server, running

GUESSES = ["admin", "password", "moorage", "changeme", "secret", "", "root", "12345678"]
FORM = {"username": "admin", "password": "correct horse battery"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """As the first start leaves it: no user, nothing configured but where to listen and a plugin that has faults."""
    site = tmp_path_factory.mktemp("site")
    probe(site, "good")
    config = {"plugins": {"good": {"enabled": True}}, "limits": {"enabled": False}}
    with running(tmp_path_factory.mktemp("s25"), config, env={"PYTHONPATH": str(site)}) as server:
        yield server


@pytest.fixture(scope="module")
def stranger(server):
    with server.client() as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/health", "/no/such", "/auth/me", "/api/console/state", "/good/raise", "/version"]
)
def test_headers_of_every_kind_of_answer(stranger, path):
    answer = stranger.get(path)
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["referrer-policy"] in ("same-origin", "no-referrer")
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert {"server", "x-powered-by", "via"}.isdisjoint(headers)
    assert not re.search(r"quart|hypercorn|uvicorn|python|werkzeug", str(headers), re.IGNORECASE)


def test_a_fault_tells_no_detail(stranger):
    answer = stranger.get("/good/raise")
    assert answer.status_code == 500
    assert not re.search(r"secret detail|Traceback|RuntimeError|\.py|quart", answer.text)
    for path in (
        "/console/assets/x",
        "/no/such",
        "/api/auth/login",
        "/docs",
        "/redoc",
        "/debug",
        "/__debug__",
        "/console?x",
    ):
        assert not re.search(r"Traceback|werkzeug|DEBUG|\.py\b", stranger.get(path).text), path


def test_nobody_comes_in_by_guesses(server, stranger):
    for name in ("admin", "root", "moorage", "owner"):
        for password in GUESSES[:3]:
            answer = stranger.post("/api/auth/login", json={"username": name, "password": password})
            assert answer.status_code in (401, 422, 429)
    for token in GUESSES:
        for path in ("/api/auth/setup", "/admin/bootstrap"):
            answer = stranger.post(path, json={"token": token, "bootstrap_token": token, **FORM})
            assert 400 <= answer.status_code < 500, path
            assert "set-cookie" not in answer.headers
        for header in ({"Authorization": f"Bearer {token or 'x'}"}, {"X-API-Key": token}, {"X-Bootstrap-Token": token}):
            assert stranger.get("/api/v1/users", headers=header).status_code in (401, 429)
    assert stranger.get("/api/console/state").json()["setup"] is True, "there is no user yet"


def test_secrets_are_random_and_for_their_owner_alone(server, tmp_path):
    found = {path.name: path for path in server.data_dir.rglob("*") if path.is_file()}
    for name in ("secret.key", "setup-token"):
        assert stat.S_IMODE(found[name].stat().st_mode) == 0o600, name
        assert len(found[name].read_bytes().strip()) >= 24, name
    assert stat.S_IMODE(found["moorage.db"].stat().st_mode) & 0o007 == 0, "strangers of this machine read no database"
    assert stat.S_IMODE(server.data_dir.stat().st_mode) & 0o007 == 0
    with running(tmp_path) as other:
        for name in ("secret.key", "run/setup-token"):
            assert (other.data_dir / name).read_bytes() != (server.data_dir / name).read_bytes()


def test_the_setup_token_is_on_the_console_and_in_no_log(server):
    token = (server.data_dir / "run" / "setup-token").read_text().strip()
    assert token not in server.stderr
    for path in ("/", "/health", "/api/console/state", "/version", "/metrics"):
        assert token not in httpx.get(f"{server.url}{path}").text


@pytest.mark.parametrize("secret", ["", "short", "x" * 31])
def test_a_weak_secret_is_refused_at_start(tmp_path, secret):
    server = Server(tmp_path, {"accounts": {"secret_key": secret}})
    done = server.cli("config", "check", check=False)
    assert done.returncode != 0
    assert "secret_key" in done.stdout + done.stderr
    assert not secret or secret not in done.stdout + done.stderr


def test_it_listens_here_alone_unless_told(server):
    shown = server.cli("config", "template").stdout
    assert re.search(r'^#?\s*listen = \["127\.0\.0\.1:\d+"\]$', shown, re.MULTILINE)
    assert not re.search(r"^[^#\n]*(secret|password)\w* *= *\"", shown, re.MULTILINE)
