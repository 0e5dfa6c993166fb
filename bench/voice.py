"""Voice: how quickly the engines speak and hear, when the first sound and the first word come, how much is misheard.

Everything goes through a server's sockets, as clients send it. Times on a busy machine are not the engines'; the CPU
columns are what the engine's process used.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from websockets.sync.client import connect

from bench import report
from bench.processes import cpu_seconds, first_ready, rss_mb

from sentences import TEN  # isort: skip  (found through bench.processes)
from speech import errors, frames, plain, silence  # isort: skip
from voicesite import Speaker, VoiceSite, chunk_of, seconds_of, sound_of  # isort: skip

ENGINES = ("moonshine", "pocketsphinx")
VOICES = ("pico_en-us", "pico_en-gb", "espeak_en-us", "espeak_en-us_f")
FRAME_SECONDS = 1024 / 24_000


@dataclass
class Said:
    """What a voice took for the sentences, and what it said."""

    files: list[bytes]
    seconds: float
    took: float
    cpu: float


def run(*, rounds: int, sentences: int) -> None:
    """Measure and print. sentences: of the ten, for the errors."""
    texts = TEN[:sentences]
    print(f"\nvoice: {rounds} rounds, {len(texts)} sentences")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = first_ready(Path(folder) / "voice", {"plugins": {"voice": {"enabled": True}}})
        server.start()
        try:
            site = VoiceSite(server)
            speaking, said = _speaking(site, texts, rounds)
            hearing, wrong = _hearing(site, texts, said, rounds)
        finally:
            server.stop()
    _tell(speaking, hearing, wrong)
    kept = {"speaking": speaking, "hearing": hearing, "word error rate": wrong, "sentences": list(texts)}
    print(f"  kept in {report.save('voice', kept)}")


def _speaking(
    site: VoiceSite, texts: tuple[str, ...], rounds: int
) -> tuple[dict[str, dict[str, float]], dict[str, list[bytes]]]:
    """Each voice's numbers, and its files of the sentences."""
    found, files = {}, {}
    with site.speaker() as speaker:
        for voice in VOICES:
            engine = voice.partition("_")[0]
            begun = _first_chunk(speaker, voice, texts[0])  # A process starts, unless it runs.
            firsts = [_first_chunk(speaker, voice, texts[0]) for _ in range(5 * rounds)]
            runs = [_said(site, speaker, engine, voice, texts) for _ in range(rounds)]
            files[voice] = runs[0].files
            (worker,) = site.workers(engine)
            found[voice] = {
                "first use ms": begun * 1000,
                "first chunk p50 ms": report.median(firsts) * 1000,
                "p99 ms": report.percentile(firsts, 99) * 1000,
                "real-time factor": report.median([one.took / one.seconds for one in runs]),
                "CPU factor": report.median([one.cpu / one.seconds for one in runs]),
                "RSS MB": rss_mb(worker.pid),
            }
    return found, files


def _first_chunk(speaker: Speaker, voice: str, text: str) -> float:
    """Seconds from asking until the first sound, of a sentence."""
    start = time.perf_counter()
    speaker.ask("synthesize", text=text, voice=voice)
    speaker.until("audio_chunk")
    took = time.perf_counter() - start
    speaker.until("synthesis_completed")
    return took


def _said(site: VoiceSite, speaker: Speaker, engine: str, voice: str, texts: tuple[str, ...]) -> Said:
    """All sentences by one voice."""
    (worker,) = site.workers(engine)
    before, start = cpu_seconds(worker.pid), time.perf_counter()
    speaker.ask("synthesize", text=" ".join(texts), voice=voice)
    events = speaker.until("synthesis_completed")
    took, cpu = time.perf_counter() - start, cpu_seconds(worker.pid) - before
    files = [chunk_of(event) for event in events if event["type"] == "audio_chunk"]
    assert len(files) == len(texts)
    return Said(files, sum(map(seconds_of, files)), took, cpu)


def _hearing(
    site: VoiceSite, texts: tuple[str, ...], said: dict[str, list[bytes]], rounds: int
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Each engine's numbers, and its share of wrong words by voice."""
    found, wrong = {}, {}
    for engine in ENGINES:
        start = time.perf_counter()
        site.hear(silence(0.5), engine=engine)
        begun = time.perf_counter() - start
        (worker,) = site.workers(engine)
        before, start = cpu_seconds(worker.pid), time.perf_counter()
        wrong[engine] = {voice: _wrong(site, engine, texts, said[voice]) for voice in VOICES}
        took, cpu = time.perf_counter() - start, cpu_seconds(worker.pid) - before
        seconds = sum(seconds_of(file) + 0.6 for voice in VOICES for file in said[voice])
        words = [_first_word(site, engine, said[VOICES[0]][0]) for _ in range(rounds)]
        found[engine] = {
            "first use ms": begun * 1000,
            "first word ms": report.median([word for word, _ in words]) * 1000,
            "final after stop ms": report.median([final for _, final in words]) * 1000,
            "real-time factor": took / seconds,
            "CPU factor": cpu / seconds,
            "RSS MB": rss_mb(worker.pid),
        }
    return found, wrong


def _wrong(site: VoiceSite, engine: str, texts: tuple[str, ...], files: list[bytes]) -> float:
    """The share of words that were left out, added or heard otherwise."""
    count = sum(
        errors(text, site.hear(sound_of([file]), engine=engine)) for text, file in zip(texts, files, strict=True)
    )
    return count / sum(len(plain(text)) for text in texts)


def _first_word(site: VoiceSite, engine: str, file: bytes) -> tuple[float, float]:
    """Speak at the speed of speech: seconds from when speech begins to the first word, and from stop to `final`."""
    url = f"{site.server.ws_url}/api/voice/stt"
    first: float | None = None
    with connect(url, additional_headers=site.headers(), max_size=None) as socket:
        socket.send(json.dumps({"type": "setengine", "engine": engine}))
        start = time.perf_counter()
        for number, frame in enumerate(frames(sound_of([file]) + silence(3))):
            socket.send(frame)
            due = start + (number + 1) * FRAME_SECONDS
            while (left := due - time.perf_counter()) > 0:
                try:
                    event = json.loads(socket.recv(timeout=left))
                except TimeoutError:
                    break
                if event["type"] == "word" and first is None:
                    first = time.perf_counter()
        stopped = time.perf_counter()
        socket.send("stop")
        while json.loads(socket.recv(timeout=60))["type"] != "final":
            pass
        ended = time.perf_counter()
    return (first if first is not None else ended) - start - 0.3, ended - stopped


def _tell(
    speaking: dict[str, dict[str, float]], hearing: dict[str, dict[str, float]], wrong: dict[str, dict[str, float]]
) -> None:
    for title, rows in (("speaking", speaking), ("hearing", hearing)):
        heads = (title, *next(iter(rows.values())))
        report.table(title, heads, [(name, *row.values()) for name, row in rows.items()])
    table = [(voice, *(f"{wrong[engine][voice]:.1%}" for engine in ENGINES)) for voice in VOICES]
    report.table("word error rate", ("said by", *ENGINES), table)
