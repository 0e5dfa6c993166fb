"""Tables of commands: what users wrote is in them, and operators read them in a terminal."""

from __future__ import annotations

from moorage.cli.options import echo_table


def test_a_cell_cannot_steer_the_terminal(capsys):
    echo_table([("USER", "PROJECT"), ("ann", "/p/größe 今日"), ("ben\x1b[2J", "/p/a\nroot  /p\x1b]0;x\x07\u202e")])
    assert capsys.readouterr().out.splitlines() == [
        "USER        PROJECT",
        "ann         /p/größe 今日",
        "ben\\x1b[2J  /p/a\\nroot  /p\\x1b]0;x\\x07\\u202e",
    ]
