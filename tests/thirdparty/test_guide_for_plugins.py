"""Every snippet of `docs/plugins.md` is taken from the example or run here, in the order of the guide."""

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import MOORAGE, free_port

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "plugins.md"
BLOCK = re.compile(r"(?P<include><!-- from .*? -->\n\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)

PREAMBLE = """
set -euo pipefail
command -v curl >/dev/null || curl() { python -c 'import sys, urllib.request as u
print(u.urlopen(sys.argv[1]).read().decode())' "$1"; }
serve() {
    moorage serve >serve.log 2>&1 &
    SERVER=$!
    trap 'kill -TERM $SERVER 2>/dev/null; wait $SERVER' EXIT
    for _ in $(seq 600); do
        grep -q 'is ready' serve.log && return
        kill -0 $SERVER || break
        sleep 0.05
    done
    cat serve.log
    return 1
}
"""


@dataclass
class Block:
    kind: str
    text: str
    included: bool


def blocks(*kinds):
    found = [Block(m["kind"], m["text"], m["include"] is not None) for m in BLOCK.finditer(GUIDE.read_text())]
    return [block for block in found if not kinds or (block.kind in kinds and not block.included)]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory, run, mypy_cache):
    """A virtual environment that has what this one has, and whose pip changes nothing but itself, without network."""
    folder = tmp_path_factory.mktemp("workshop")
    venv = folder / ".venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=folder)
    (site,) = venv.glob("lib/python3*/site-packages")
    parents = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "parent.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in parents))
    modules = {
        "moorage": 'moorage.cli.main "$@"',
        "pytest": 'pytest -p no:cacheprovider "$@"',
        "mypy": f'mypy --cache-dir {mypy_cache} "$@"',
        "pip": 'pip --disable-pip-version-check --quiet "$@" --no-index --no-build-isolation',
    }
    for name, call in modules.items():
        script = venv / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{venv}/bin/python" -m {call}\n')
        script.chmod(0o755)
    (venv / "bin" / "ruff").symlink_to(Path(MOORAGE).with_name("ruff"))
    return folder


def test_a_snippet_is_included_or_run():
    found = blocks()
    assert len(found) > 15
    for block in found:
        assert block.included or block.kind in ("sh", "python", "toml"), block.text
        assert block.kind != "python" or block.included or "def test_" in block.text, block.text


def test_the_commands_lead_to_a_running_plugin(workshop, run):
    port = free_port()
    commands = "\n".join(block.text for block in blocks("sh"))
    assert "127.0.0.1:8000" in commands
    script = PREAMBLE + re.sub(r"^moorage serve$", "serve", commands, flags=re.M).replace(":8000", f":{port}")
    assert "\nserve\n" in script
    bash = shutil.which("bash") or "/bin/bash"
    said = run(
        bash,
        "-c",
        script,
        cwd=workshop,
        PATH=f"{workshop / '.venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        MOORAGE__SERVER__LISTEN=f'["127.0.0.1:{port}"]',
    )
    assert '{"greeting":"Hello, world!"}' in said
    assert re.search(r"\d\d passed", said)
    assert "no issues found" in said
    assert "weather 0.1.0: ok" in said


def test_the_plugins_in_it_do_what_it_says(hello, tmp_path):
    found = blocks("python")
    assert found
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    for number, block in enumerate(found):
        (tmp_path / f"test_block_{number}.py").write_text(block.text)
    said = hello.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path)
    assert f"{len(found)} passed" in said


def test_the_settings_in_it_are_right(hello, tmp_path):
    for number, block in enumerate(blocks("toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(block.text)
        said = hello.python("-m", "moorage.cli.main", "config", "check", "--config", file)
        assert "The configuration is right" in said
