"""Speech servers that are spoken to by TLS: only those whose certificate is good for their name."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import signal
import ssl
from pathlib import Path
from typing import Any

import httpx
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from harness import running
from speechservers import EarsServer, KokoroxHttp, KokoroxServer
from waits import WAIT


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """One of 127.0.0.1 that speaks for itself: what a server has, and what a client must trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "speech")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, secret = folder / "speech.pem", folder / "speech.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*form))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, secret)
    return context, file


async def test_a_server_is_asked_if_its_certificate_is_good_for_it(tmp_path: Path) -> None:
    context, file = certificate(tmp_path)
    ears, kokorox, spoken = EarsServer(), KokoroxServer(), KokoroxHttp()
    async with ears.running(context), kokorox.running(context), spoken.running(context):
        voice: dict[str, Any] = {
            "enabled": True,
            "stt": {"url": f"wss://127.0.0.1:{ears.port}"},
            # Its certificate is of the address and not of this name.
            "tts": {"url": f"wss://localhost:{kokorox.port}", "http_url": f"https://127.0.0.1:{spoken.port}"},
        }
        # Not a fork: what is trusted is read while libraries are imported.
        options: dict[str, Any] = {"env": {"SSL_CERT_FILE": str(file)}, "forked": False}
        with running(tmp_path, {"plugins": {"voice": voice}}, **options) as server:
            server.add_user("ann", "viewer")
            cookie = {"Cookie": server.cookie("ann")}
            assert await said_at(f"{server.ws_url}/api/voice/stt", cookie) == {
                "type": "enginechanged",
                "engine": "kyutai",
            }
            assert (await said_at(f"{server.ws_url}/api/voice/tts", cookie))["type"] == "error"
            assert not kokorox.handshakes
            assert await voices(server.url, cookie) == (200, {"voices": ["af_heart"]})
            voice["tts"]["http_url"] = f"https://localhost:{spoken.port}"
            server.write_config({"plugins": {"voice": voice}})
            server.signal(signal.SIGHUP)
            async with asyncio.timeout(WAIT):
                while (found := await voices(server.url, cookie))[0] == 200:
                    await asyncio.sleep(0.05)
            assert found[0] == 503
            assert "cannot be reached" in found[1]["error"]["message"]


async def said_at(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """The first thing that is said there."""
    async with asyncio.timeout(WAIT), websockets.connect(url, additional_headers=headers) as link:
        await link.send(b"\0\0\0\0")
        found: dict[str, Any] = json.loads(await link.recv())
    return found


async def voices(url: str, headers: dict[str, str]) -> tuple[int, Any]:
    async with httpx.AsyncClient(timeout=WAIT) as client:
        answer = await client.get(f"{url}/v1/audio/voices", headers=headers)
    return answer.status_code, answer.json()
