"""The reference agrees with the code, and so do the settings, commands and links in the guides."""

import importlib.util
import inspect
import re
import shlex
import shutil
import sys
from pathlib import Path

import click
import pytest
from moorage import api
from moorage.cli.main import OF_PLUGINS, cli
from moorage.config import load
from moorage.config.schema import fields, submodel
from moorage.config.settings import Settings
from moorage.hooks import Specs
from moorage.plugins import shipped_manifests
from moorage_chat.hooks import Specs as ChatSpecs
from moorage_memories.hooks import Specs as MemoriesSpecs
from moorage_tmux.hooks import Specs as TmuxSpecs
from moorage_voice.hooks import Specs as VoiceSpecs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", *sorted(ROOT.glob("examples/*/README.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def outputs(generate):
    return list(generate.outputs())


def test_nothing_is_stale(outputs):
    stale = [str(path.relative_to(ROOT)) for path, text in outputs if not path.exists() or path.read_text() != text]
    assert not stale, f"run `python docs/generate.py`: {stale}"


def test_a_stale_page_is_found_and_mended(generate, outputs, tmp_path, monkeypatch, capsys):
    for path, _ in outputs:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    hooks = tmp_path / "docs/reference/hooks.md"
    hooks.write_text(hooks.read_text().replace("(actor, permission, resource)", "(actor)"))
    moved = [(tmp_path / path.relative_to(ROOT), text) for path, text in outputs]
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "outputs", lambda: moved)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    assert "stale: docs/reference/hooks.md" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    assert "(actor, permission, resource)" in hooks.read_text()


def test_an_included_name_that_is_gone_is_an_error(generate):
    text = "<!-- from examples/moorage-hello/src/moorage_hello/plugin.py: NoSuchThing -->\n\n```python\n```"
    with pytest.raises(SystemExit, match="there is no NoSuchThing"):
        generate.INCLUDE.sub(generate.included, text)


def specified():
    """Every hook of the core and of shipped plugins: (name, function)."""
    return [
        (name, function)
        for specs in (Specs, ChatSpecs, MemoriesSpecs, TmuxSpecs, VoiceSpecs)
        for name, function in vars(specs).items()
        if not name.startswith("__")
    ]


def test_every_hook_has_a_heading_with_its_exact_arguments():
    text = (DOCS / "reference/hooks.md").read_text()
    headings = re.findall(r"^## (\w+)\((.*)\)$", text, re.M)
    expected = [(name, ", ".join(list(inspect.signature(function).parameters)[1:])) for name, function in specified()]
    assert {"moorage_routes", "tmux_output_filter"} <= {name for name, _ in expected}
    assert headings == expected
    for name, function in specified():
        kind = "async def" if inspect.iscoroutinefunction(function) else "def"
        assert f"\n{kind} {name}(" in text, name


def test_every_hook_says_what_its_arguments_are_and_since_when():
    for name, function in specified():
        text = inspect.getdoc(function)
        for argument in list(inspect.signature(function).parameters)[1:]:
            assert f":param {argument}:" in text, f"{name}: {argument}"
        assert ".. versionadded::" in text, name
        kind = "async" if inspect.iscoroutinefunction(function) else "sync"
        assert f"({kind}" in text, name


def test_every_key_of_the_configuration_is_there():
    text = (DOCS / "reference/config.md").read_text()
    for section, info in fields(Settings).items():
        model = submodel(info.annotation)
        if model is None or section == "access":
            continue
        (table,) = re.findall(rf"^## \[{section}\]\n(.*?)(?=^## |\Z)", text, re.M | re.S)
        assert re.findall(r"^\| `(\w+)` \|", table, re.M) == list(fields(model))


def test_every_permission_is_there():
    text = (DOCS / "reference/permissions.md").read_text()
    declared = [permission.name for manifest in shipped_manifests().values() for permission in manifest.permissions]
    assert declared
    for name in declared:
        assert f"| `{name}` |" in text


def test_every_name_of_the_api_is_there():
    text = (DOCS / "reference/api.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.M) == api.__all__


def test_settings_in_the_guide_are_right(tmp_path):
    found = 0
    guides = "".join((DOCS / name).read_text() for name in ("operator.md", "mcp.md", "chat.md"))
    for kind, text in FENCE.findall(guides):
        if kind == "toml":
            found += 1
            file = tmp_path / f"{found}.toml"
            file.write_text(re.sub(r"/run/secrets/(\w+)", lambda match: str(secret(tmp_path, match[1])), text))
            load(file, env={})
    assert found > 5


def secret(folder, name):
    """A file with what the setting `name` takes."""
    file = folder / name
    urls = {"database_url": "postgres://u:p@127.0.0.1/x", "redis_url": "redis://127.0.0.1"}
    file.write_text(urls.get(name, "a secret of more than 32 characters"))
    return file


def commands():
    """Every `moorage …` in a shell block or in backticks of the guides."""
    for path in GUIDES:
        text = path.read_text()
        lines = [line for kind, block in FENCE.findall(text) if kind == "sh" for line in block.splitlines()]
        lines += re.findall(r"`(moorage [a-z][^`]*)`", FENCE.sub("", text))
        for line in lines:
            if match := re.search(r"(?:^|/)moorage ((?!-)[a-z].*)", line.partition("  #")[0].partition(" > ")[0]):
                yield path.name, match[1]


@pytest.mark.parametrize(("name", "line"), sorted(set(commands())))
def test_a_command_in_the_guides_exists(name, line):
    words = shlex.split(line)
    command: click.Command = cli
    context = click.Context(cli)
    context.meta[OF_PLUGINS] = {
        name: kept for manifest in shipped_manifests().values() for name, kept in manifest.commands.items()
    }
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        child = command.get_command(context, words[0])
        assert child is not None, f"{name}: no command {line!r}"
        command, words = child, words[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        assert not word.startswith("--") or word in options, f"{name}: no option {word} in {line!r}"
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    if not words and any(argument.required for argument in arguments):
        return  # Named in passing, without its arguments.
    if not isinstance(command, click.Group):
        command.make_context(command.name, words, resilient_parsing=False)


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, target
