"""The model of sentences in its worker: its vectors are those that others publish of the same weights."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import struct
from pathlib import Path

import pytest
import pytest_asyncio
from moorage.api import TaskSupervisor, Unavailable
from moorage_memories.embeddings.encoder import Encoder, ModelChanged

pytestmark = pytest.mark.asyncio(loop_scope="module")
SIZE = 384


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def encoder():
    tasks = TaskSupervisor("test")
    encoder = Encoder(tasks, None)
    if encoder.lacking:
        pytest.skip(encoder.lacking)
    yield encoder
    await encoder.close()
    await tasks.stop()


async def vectors(encoder: Encoder, *texts: str) -> list[tuple[float, ...]]:
    body = await encoder.encode(texts)
    assert len(body) == len(texts) * SIZE * 4
    return list(struct.iter_unpack(f"<{SIZE}f", body))


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def near(a, b, most: float = 5e-7) -> bool:
    return max(abs(x - y) for x, y in zip(a, b, strict=False)) <= most


PUBLISHED = {
    # Printed by sentence-transformers in documents of several projects, with as many digits as float32 has.
    "Hello World": (-0.03447726, 0.03102319, 0.00673499, 0.02610895, -0.03936201),
    # OpenSearch's documentation.
    "how are you": (-0.031369038, 0.037830487, 0.07630822),
}


async def test_vectors_are_those_of_the_reference(encoder: Encoder):
    for text, first in PUBLISHED.items():
        (found,) = await vectors(encoder, text)
        assert near(found, first), (text, found[:5])
        assert math.isclose(dot(found, found), 1, abs_tol=1e-5)


async def test_likenesses_are_those_of_the_reference(encoder: Encoder):
    """The example of sentence-transformers' own documentation."""
    weather, sunny, stadium = await vectors(
        encoder, "The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."
    )
    found = [round(dot(*pair), 4) for pair in ((weather, sunny), (weather, stadium), (sunny, stadium))]
    assert found == [0.6660, 0.1046, 0.1411]
    doctor, physician = await vectors(encoder, "doctor", "physician")
    assert math.isclose(dot(doctor, physician), 0.8598132, abs_tol=1e-6)


async def test_a_vector_does_not_depend_on_its_company(encoder: Encoder):
    texts = ["", "x", "a b", "The anchor holds.", "y " * 1000, "帆船", "\ud800 half", "The anchor holds.", "Z" * 50_000]
    together = await vectors(encoder, *texts)
    for text, found in zip(texts, together, strict=True):
        (alone,) = await vectors(encoder, text)
        assert near(found, alone), text[:20]
    assert near(together[3], together[7], 1e-7)


async def test_the_longest_part_that_counts_is_256_tokens(encoder: Encoder):
    body, tokens = await encoder.counted(["word " * 300])
    assert tokens == 256
    assert body == (await encoder.counted(["word " * 400]))[0]


async def test_a_crash_is_one_error_and_the_next_is_served(encoder: Encoder):
    before = await encoder.encode(["hello"])
    pid = encoder._worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    waiting = asyncio.ensure_future(encoder.encode(["hello"]))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="model of sentences failed"):
        await waiting
    assert await encoder.encode(["hello"]) == before
    assert encoder._worker.pid != pid


async def test_what_is_lacking_is_said_with_the_mend(tmp_path: Path):
    tasks = TaskSupervisor("test")
    encoder = Encoder(tasks, tmp_path)
    assert "config.json, tokenizer.json, model.safetensors" in encoder.lacking
    with pytest.raises(Unavailable, match="tokenizer"):
        await encoder.encode(["x"])
    await encoder.close()
    await tasks.stop()


async def test_weights_that_were_replaced_are_another_model(encoder: Encoder, tmp_path: Path):
    assert encoder._folder is not None
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).symlink_to(encoder._folder / name)
    tasks = TaskSupervisor("test")
    other = Encoder(tasks, tmp_path)
    before, _ = await other.about()
    await other.encode(["x"], before)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").write_bytes(weights + b"\0")
    await other.encode(["x"], before)
    other._worker._unload()  # As when it has been idle.
    with pytest.raises(ModelChanged):
        await other.encode(["x"], before)
    after, _ = await other.about()
    assert after != before
    await other.encode(["x"], after)
    await other.close()
    await tasks.stop()


async def test_weights_that_are_none_are_refused(encoder: Encoder, tmp_path: Path):
    assert encoder._folder is not None
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((encoder._folder / name).read_bytes())
    tasks = TaskSupervisor("test")
    other = Encoder(tasks, tmp_path)
    for broken in (b"", struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 1 << 60) + b"{}"):
        (tmp_path / "model.safetensors").write_bytes(broken)
        assert not other.lacking
        with pytest.raises(Unavailable, match="model of sentences failed"):
            await other.encode(["x"])
    await other.close()
    await tasks.stop()
