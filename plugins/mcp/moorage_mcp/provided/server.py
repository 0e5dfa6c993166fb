"""The server: its tools, and what clients are told of each before they call it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

from moorage_mcp.provided.files import Files
from moorage_mcp.provided.gitrun import Git
from moorage_mcp.provided.gittools import GitTools
from moorage_mcp.provided.search import Search
from moorage_mcp.provided.tree import Tree

INSTRUCTIONS = (
    "Files and the git repository of one workspace. All paths are relative to the workspace. "
    "A new workspace is an empty repository on the branch main."
)


def make(folder: str) -> MCPServer[Any]:
    """A server of this folder. OSError when it is none."""
    tree = Tree(folder)
    files, search, git = Files(tree), Search(tree), GitTools(Git(folder))
    server: MCPServer[Any] = MCPServer(
        "moorage-workspace",
        title="Workspace",
        version=_version(),
        instructions=INSTRUCTIONS,
        log_level="WARNING",
        # The list of tools never changes.
        subscriptions=False,
    )

    def add(tools: dict[str, Callable[..., Any]], **hints: bool) -> None:
        for title, tool in tools.items():
            about = ToolAnnotations(title=title, open_world_hint=False, **hints)
            server.add_tool(tool, title=title, annotations=about)

    add(
        {
            "Git status": git.git_status,
            "Read a file": files.read_file,
            "List a folder": files.list_directory,
            "Search files": search.search_files,
            "Git: unstaged changes": git.git_diff_unstaged,
            "Git: staged changes": git.git_diff_staged,
            "Git: differences": git.git_diff,
            "Git log": git.git_log,
            "Git show": git.git_show,
            "Git: branches": git.git_branch,
        },
        read_only_hint=True,
        idempotent_hint=True,
        destructive_hint=False,
    )
    add({"Write a file": files.write_file}, read_only_hint=False, destructive_hint=True, idempotent_hint=False)
    add(
        {
            "Make a folder": files.create_directory,
            "Git add": git.git_add,
            "Git init": git.git_init,
        },
        read_only_hint=False,
        destructive_hint=False,
        idempotent_hint=True,
    )
    add(
        {
            "Git commit": git.git_commit,
            "Git: new branch": git.git_create_branch,
            "Git checkout": git.git_checkout,
        },
        read_only_hint=False,
        destructive_hint=False,
        idempotent_hint=False,
    )
    add(
        {
            "Move a file": files.move_file,
            "Delete a file": files.delete_file,
            "Git reset": git.git_reset,
        },
        read_only_hint=False,
        destructive_hint=True,
        idempotent_hint=False,
    )
    return server


def _version() -> str:
    try:
        return version("moorage")
    except PackageNotFoundError:
        return "0"  # In an image with this part alone.
