"""Stands in for OpenCode's server: as much of it as sessions need, and told by files in the project how to fail.

`standin.json` in the folder where it starts: {"exit": code} ends at once, {"deaf": true} never answers, {"slow": s}
listens only after s seconds, {"stubborn": true} does not end when it is asked to. Later: a file `die` ends it (once),
a file `busy` makes its agent look at work.
Each start adds a line to `starts`; `env.json` is what it was given.
"""

import base64
import contextlib
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
HIDDEN = ("OPENCODE_SERVER_PASSWORD",)
EXPECTED = "Basic " + base64.b64encode(f"opencode:{os.environ.get('OPENCODE_SERVER_PASSWORD', '')}".encode()).decode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != EXPECTED:
            return self.answer(401, {"error": "Unauthorized"})
        if self.path == "/global/health":
            return self.answer(200, {"healthy": True, "version": version()})
        if self.path == "/session/status":
            return self.answer(200, {"ses_1": {"type": "busy" if Path("busy").exists() else "idle"}})
        return self.answer(200, [] if self.path == "/session" else {"path": self.path, "pid": os.getpid()})

    def answer(self, status: int, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def version() -> str:
    return (HERE / "version").read_text().strip()


def wait_for_death() -> None:
    while True:
        with contextlib.suppress(FileNotFoundError):
            Path("die").unlink()
            print("told to die", flush=True)
            os._exit(7)
        time.sleep(0.05)


def main() -> None:
    if "--version" in sys.argv:
        print(version())
        return
    told = json.loads(Path("standin.json").read_text()) if Path("standin.json").exists() else {}
    with Path("starts").open("a") as starts:
        starts.write(f"{os.getpid()} {version()}\n")
    Path("env.json").write_text(json.dumps({name: value for name, value in os.environ.items() if name not in HIDDEN}))
    print(f"starting with the password {os.environ['OPENCODE_SERVER_PASSWORD']}", flush=True)
    if "exit" in told:
        print("there is something wrong with me", flush=True)
        sys.exit(told["exit"])
    host, port = sys.argv[sys.argv.index("--hostname") + 1], int(sys.argv[sys.argv.index("--port") + 1])
    threading.Thread(target=wait_for_death, daemon=True).start()
    if told.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if told.get("deaf"):
        time.sleep(3600)
    time.sleep(told.get("slow", 0))
    print(f"opencode server listening on http://{host}:{port}", flush=True)
    ThreadingHTTPServer((host, port), Handler).serve_forever()


main()
