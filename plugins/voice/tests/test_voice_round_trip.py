"""What this server says, it understands: kokorox's WebSocket to eaRS's, by the real engines of both."""

from __future__ import annotations

import pytest
from sentences import CLEAR, TEN
from speech import errors, plain
from voicesite import chunk_of, sound_of, voice_site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with voice_site(tmp_path_factory.mktemp("roundtrip")) as site:
        yield site


def test_clear_sentences_come_back_word_for_word(site):
    with site.speaker() as speaker:
        for sentence in CLEAR:
            assert plain(site.hear(sound_of(speaker.say(sentence)))) == plain(sentence)


def test_a_growing_text_comes_back_as_it_was_written(site):
    text = " ".join(CLEAR)
    with site.speaker() as speaker:
        speaker.answer("stream_start", stream_id="a")
        for word in text.split(" "):
            speaker.ask("stream_append", stream_id="a", text=f"{word} ")
        speaker.ask("stream_end", stream_id="a")
        chunks = [event for event in speaker.until("stream_ended") if event["type"] == "stream_chunk"]
        assert plain(site.hear(sound_of([chunk_of(event) for event in chunks]))) == plain(text)


@pytest.mark.slow
@pytest.mark.parametrize(("voice", "most"), [("pico_en-us", 0.15), ("pico_en-gb", 0.15), ("espeak_en-us", 0.25)])
def test_most_words_come_back(site, voice, most):
    wrong = 0
    with site.speaker() as speaker:
        for sentence in TEN:
            wrong += errors(sentence, site.hear(sound_of(speaker.say(sentence, voice=voice))))
    assert wrong <= most * sum(len(plain(sentence)) for sentence in TEN)
