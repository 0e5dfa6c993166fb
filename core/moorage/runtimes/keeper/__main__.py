"""Starts the keeper without the server around it, whose packages take a hundred times as long to import."""

import os
import sys
from types import ModuleType


def _bare(name: str, folder: str) -> None:
    """A package of which only the path counts: its `__init__` is not run."""
    module = ModuleType(name)
    module.__path__ = [folder]
    sys.modules[name] = module


_runtimes = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_bare("moorage", os.path.dirname(_runtimes))
_bare("moorage.runtimes", _runtimes)

from moorage.runtimes.keeper.main import main  # noqa: E402

main()
