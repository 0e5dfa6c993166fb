"""An image with the real OpenCode for the Docker engine of the tests, of this machine's own files: no debootstrap."""

from __future__ import annotations

import io
import os
import re
import shutil
import ssl
import subprocess
import tarfile
from pathlib import Path

from realparts.docker_engine import DockerEngine, pack_busybox

NAME = "opencode:host"
TOOLS = ("bash", "git", "rg")
"""What an agent works with, where the machine has it."""


def import_opencode(engine: DockerEngine, program: Path, name: str = NAME) -> str:
    """Import busybox, OpenCode, the tools, the libraries that they need and certificates; returns the image's name."""
    packed = pack_busybox(engine.folder / "opencode.tar")
    programs = {"usr/local/bin/opencode": program}
    programs |= {f"usr/bin/{tool}": Path(found) for tool in TOOLS if (found := shutil.which(tool))}
    with tarfile.open(packed, mode="a") as tar:
        for inside, path in programs.items():
            _add(tar, path, inside)
        for library in sorted(set().union(*map(_libraries, programs.values()))):
            _add(tar, Path(library), library.lstrip("/"))
        if (bundle := ssl.get_default_verify_paths().cafile) and Path(bundle).is_file():
            _add(tar, Path(bundle), "etc/ssl/certs/ca-certificates.crt")
    path = "PATH=/usr/local/bin:/usr/bin:/bin"
    engine.docker("import", "--change", f"ENV {path}", str(packed), name, timeout=300)
    packed.unlink()
    return name


def renewed(engine: DockerEngine, name: str, folder: Path) -> str:
    """The image with one file more, under the same name; returns its new id."""
    folder.mkdir(exist_ok=True)
    (folder / "Containerfile").write_text(f"FROM {name}\nCOPY newer /etc/newer\n")
    (folder / "newer").write_text(os.urandom(8).hex())
    engine.docker("build", "-t", name, "-f", str(folder / "Containerfile"), str(folder), env={"DOCKER_BUILDKIT": "0"})
    return engine.docker("inspect", "--type", "image", "--format", "{{.Id}}", name).stdout.strip()


def _libraries(program: Path) -> set[str]:
    """The loader and libraries of a program; none for a static one."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False, timeout=30).stdout
    return set(re.findall(r"^\s(?:\S+ => )?(/\S+) \(", told, re.M))


def _add(tar: tarfile.TarFile, path: Path, inside: str) -> None:
    """A file as root's, whoever it belongs to here."""
    real = path.resolve()
    entry = tarfile.TarInfo(inside)
    entry.size, entry.mode = real.stat().st_size, 0o755
    with real.open("rb") if real.is_file() else io.BytesIO() as data:
        tar.addfile(entry, data)
