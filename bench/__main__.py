"""`python -m bench [PART…] [--quick]`: run the benchmarks. See bench/README.md."""

from __future__ import annotations

import argparse

PARTS = (
    "alone",
    "gate",
    "credentials",
    "logins",
    "terminal",
    "session-terminal",
    "viewers",
    "fanout",
    "proxy",
    "mcp",
    "chat",
    "chat-search",
    "memories",
    "sessions",
    "voice",
    "start",
)


def main() -> None:
    """Parse the arguments and run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Moorage's benchmarks")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without one")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: for trying, not for numbers")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for part in options.parts or PARTS:
        run(part, quick=options.quick)


def run(part: str, *, quick: bool) -> None:
    """Run one part."""
    if part == "alone":
        from bench import gate_alone

        gate_alone.show(rounds=5 if quick else 30)
    elif part == "gate":
        from bench import gate

        gate.run(rounds=2 if quick else 7, seconds=1 if quick else 3)
    elif part == "credentials":
        from bench import credentials

        credentials.run(rounds=1 if quick else 5, seconds=1 if quick else 2)
    elif part == "logins":
        from bench import logins

        logins.run(rounds=1 if quick else 5, seconds=1 if quick else 4)
    elif part == "terminal":
        from bench import terminal

        crowds = (1, 20, 100) if quick else terminal.CROWDS
        terminal.run(keys=50 if quick else 200, rounds=1 if quick else 3, crowds=crowds)
    elif part == "session-terminal":
        from bench import session_terminal

        session_terminal.run(keys=50 if quick else 200, rounds=1 if quick else 3)
    elif part == "viewers":
        from bench import viewers

        viewers.run(
            crowds=(1, 20, 100) if quick else (1, 100, 500), sessions=5 if quick else 20, idle=5 if quick else 30
        )
    elif part == "fanout":
        from bench import fanout

        fanout.run(seconds=2 if quick else 6, rounds=1 if quick else 3)
    elif part == "proxy":
        from bench import proxy

        proxy.run(rounds=1 if quick else 3, seconds=1 if quick else 3)
    elif part == "mcp":
        from bench import mcp_calls

        mcp_calls.run(rounds=1 if quick else 3, calls=100 if quick else 200, seconds=1 if quick else 3)
    elif part == "chat":
        from bench import chat

        chat.run(rounds=1 if quick else 3, answers=5 if quick else 10)
    elif part == "chat-search":
        from bench import chat_search

        chat_search.run(rounds=1 if quick else 3, requests=5 if quick else 10)
    elif part == "memories":
        from bench import memories

        memories.run(memories=10_000 if quick else 100_000, seconds=20 if quick else 3600, asked=20 if quick else 100)
    elif part == "sessions":
        from bench import sessions

        sessions.run(rounds=3 if quick else 10)
    elif part == "voice":
        from bench import voice

        voice.run(rounds=1 if quick else 3, sentences=3 if quick else 10)
    elif part == "start":
        from bench import start

        start.run(rounds=3 if quick else 8)


if __name__ == "__main__":
    main()
