"""The model of sentences: a BERT encoder in numpy, by which texts become vectors. Runs in a worker process only.

The network is that of Devlin et al., "BERT" (2019), as the published weights of all-MiniLM-L6-v2 have it: embeddings,
six layers of attention and of a feed-forward net, then the mean of the tokens' vectors, brought to unit length.
It reads `config.json`, `tokenizer.json`, `model.safetensors` and, where they are, the files of sentence-transformers.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Array = NDArray[Any]
"""Of float32: numpy's types take more for float64 than is."""

AT_ONCE = 4096
"""Tokens that are computed at once: of more, the memory that it takes grows and the speed does not."""
LONGEST = 20_000
"""Characters of a text that are cut into tokens, of which far fewer count."""


class Model:
    """The model. settings: {"folder": where its files are}. ValueError when they are another kind of model's."""

    def __init__(self, settings: dict[str, Any]) -> None:
        folder = Path(settings["folder"])
        config = json.loads((folder / "config.json").read_text("utf-8"))
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise ValueError(f"{folder}: a BERT model with the activation gelu is needed")
        self._heads, self._epsilon = int(config["num_attention_heads"]), float(config["layer_norm_eps"])
        self._mean = _pooling(folder)
        self._weights, self._name = read_weights(folder / "model.safetensors")
        self._layers = [_Layer(self._weights, f"encoder.layer.{n}") for n in range(int(config["num_hidden_layers"]))]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_longest(folder, config))

    def about(self, body: bytes) -> dict[str, Any]:
        """model: names these weights; dimensions: of a vector."""
        return {"model": self._name, "dimensions": int(self._weights["embeddings.LayerNorm.weight"].size)}

    def encode(self, body: bytes, texts: Sequence[str]) -> tuple[dict[str, Any], bytes]:
        """Vectors of unit length: float32, little-endian, one after the other. tokens: how many were read."""
        found = [one.ids for one in self._tokenizer.encode_batch([_readable(text) for text in texts])]
        vectors = np.empty((len(found), self._weights["embeddings.LayerNorm.weight"].size), np.float32)
        for places in _batches(found):
            vectors[places] = self._forward([found[place] for place in places])
        return {**self.about(b""), "tokens": sum(map(len, found))}, vectors.astype("<f4").tobytes()

    def _forward(self, texts: Sequence[Sequence[int]]) -> Array:
        """Vectors of texts, which come by length. Nothing is padded: only attention is within a text."""
        lengths = [len(text) for text in texts]
        ids = np.concatenate([np.asarray(text, np.int64) for text in texts])
        places = np.concatenate([np.arange(length) for length in lengths])
        weights = self._weights
        state = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][places]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        state = _normed(state, weights, "embeddings.LayerNorm", self._epsilon)
        runs = [(length, sum(1 for _ in same)) for length, same in groupby(lengths)]
        for layer in self._layers:
            state = layer.forward(state, runs, self._heads, self._epsilon)
        starts = np.cumsum([0, *lengths[:-1]])
        pooled: Array = state[starts]
        if self._mean:
            pooled = np.add.reduceat(state, starts) / np.asarray(lengths, np.float32)[:, None]
        pooled /= np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), np.float32(1e-12))
        return pooled


class _Layer:
    """One layer, its weights at hand."""

    def __init__(self, weights: dict[str, Array], name: str) -> None:
        own = {key.removeprefix(name + "."): value for key, value in weights.items() if key.startswith(name + ".")}
        own_parts = [f"attention.self.{part}" for part in ("query", "key", "value")]
        # In one product instead of three.
        self._into: Array = np.concatenate([own[f"{part}.weight"] for part in own_parts]).T
        self._into_bias: Array = np.concatenate([own[f"{part}.bias"] for part in own_parts])
        self._own = own

    def forward(self, state: Array, runs: Sequence[tuple[int, int]], heads: int, epsilon: float) -> Array:
        """state: (tokens, size). runs: (length, texts of that length), in order."""
        own, size = self._own, state.shape[1]
        mixed: Array = np.empty_like(state)
        at = 0
        projected = state @ self._into + self._into_bias
        for length, count in runs:
            end = at + length * count
            # (3, texts, heads, tokens, size of a head)
            parts = projected[at:end].reshape(count, length, 3, heads, size // heads).transpose(2, 0, 3, 1, 4)
            seen = _attention(parts[0], parts[1], parts[2])
            mixed[at:end] = seen.transpose(0, 2, 1, 3).reshape(end - at, size)
            at = end
        attended = _dense(mixed, own, "attention.output.dense")
        state = _normed(attended + state, own, "attention.output.LayerNorm", epsilon)
        inner = _gelu(_dense(state, own, "intermediate.dense"))
        return _normed(_dense(inner, own, "output.dense") + state, own, "output.LayerNorm", epsilon)


def _attention(query: Array, key: Array, value: Array) -> Array:
    scores = query @ key.swapaxes(-1, -2)
    scores *= np.float32(query.shape[-1] ** -0.5)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    attended: Array = scores @ value
    return attended


def _dense(state: Array, weights: dict[str, Array], name: str) -> Array:
    out: Array = state @ weights[f"{name}.weight"].T
    out += weights[f"{name}.bias"]
    return out


def _normed(state: Array, weights: dict[str, Array], name: str, epsilon: float) -> Array:
    state = state - state.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.einsum("ij,ij->i", state, state)[:, None] / np.float32(state.shape[1]) + np.float32(epsilon))
    normed: Array = state / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return normed


def _gelu(x: Array) -> Array:
    """x · Φ(x). The error function by Abramowitz and Stegun, 7.1.26: to 1.5e-7, which is what float32 holds."""
    a = np.abs(x)
    a *= np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(0.3275911) * a)
    tail = np.full_like(t, 1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail *= t
        tail += np.float32(factor)
    tail *= t
    a *= a
    np.negative(a, out=a)
    tail *= np.exp(a, out=a)
    tail *= np.float32(0.5)  # 1 - Φ(|x|)
    out: Array = np.maximum(x, 0) - np.abs(x) * tail
    return out


def _readable(text: str) -> str:
    """As much of a text as may count, without halves of surrogate pairs, which the tokenizer does not take."""
    return text[:LONGEST].encode("utf-8", "replace").decode()


def _batches(texts: Sequence[Sequence[int]]) -> list[list[int]]:
    """The places of texts, the short ones first, in batches of some AT_ONCE tokens."""
    batches: list[list[int]] = []
    left = 0
    for place in sorted(range(len(texts)), key=lambda place: len(texts[place])):
        if len(texts[place]) > left:
            batches.append([])
            left = max(AT_ONCE, len(texts[place]))
        batches[-1].append(place)
        left -= len(texts[place])
    return batches


def read_weights(path: Path) -> tuple[dict[str, Array], str]:
    """A file of safetensors: its arrays of float32 by their names, and a name for the file by its content.

    The format: eight bytes, the length (little-endian) of a JSON object {name: {dtype, shape, data_offsets}}, and the
    data. ValueError when it is another one. The arrays are views of the file: what is not used takes no memory.
    """
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(len(data) - 8, 1 << 24):
        raise ValueError(f"{path} is no file of safetensors")
    arrays = {}
    for name, tensor in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__" or tensor["dtype"] != "F32":
            continue
        start, end = tensor["data_offsets"]
        found = np.frombuffer(data, "<f4", (end - start) // 4, 8 + length + start)
        arrays[name.removeprefix("bert.")] = found.reshape(tensor["shape"])
    if "embeddings.word_embeddings.weight" not in arrays:
        raise ValueError(f"{path} has no weights of a BERT model in float32")
    return arrays, hashlib.sha256(data).hexdigest()[:16]


def _pooling(folder: Path) -> bool:
    """Whether a text's vector is the mean of its tokens' vectors; else it is its first one's. ValueError: neither."""
    path = folder / "1_Pooling" / "config.json"
    if not path.exists():
        return True
    modes = {name for name, on in json.loads(path.read_text("utf-8")).items() if name.startswith("pooling") and on}
    if modes not in ({"pooling_mode_mean_tokens"}, {"pooling_mode_cls_token"}):
        raise ValueError(f"{path}: only the mean and the first token are known")
    return modes == {"pooling_mode_mean_tokens"}


def _longest(folder: Path, config: dict[str, Any]) -> int:
    """Tokens of a text that count."""
    path = folder / "sentence_bert_config.json"
    own = json.loads(path.read_text("utf-8")).get("max_seq_length") if path.exists() else None
    return min(int(own or 256), int(config["max_position_embeddings"]))
