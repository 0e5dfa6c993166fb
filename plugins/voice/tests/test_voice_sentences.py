"""Text as sentences, guesses of its language, samples: the parts of speech that need no engine."""

from __future__ import annotations

import io
import random
import time
import wave

import numpy as np
import pytest
from moorage_voice import audio
from moorage_voice.languages import language_of
from moorage_voice.sentences import LONGEST, Growing, split

CASES = [
    ("Hello there. How are you?", ["Hello there.", "How are you?"]),
    ("One; two: three! four", ["One;", "two:", "three!", "four"]),
    ("It is 3.14 at 10:30, see www.example.org.", ["It is 3.14 at 10:30, see www.example.org."]),
    ("Mr. Smith, e.g. J. Smith, came. So?", ["Mr. Smith, e.g. J. Smith, came.", "So?"]),
    ("A line\nanother\r\n\r\nlast", ["A line", "another", "last"]),
    ('He said: "Go away!" And (so what.) she went…', ["He said:", '"Go away!"', "And (so what.)", "she went…"]),
    ("你好。世界！", ["你好。", "世界！"]),
    ("*** \n --- ... ?!", []),
    ("", []),
    ("**Bold.** 5 € 😀", ["**Bold.**", "5 € 😀"]),
]


@pytest.mark.parametrize(("text", "sentences"), CASES)
def test_text_is_cut_into_sentences(text, sentences):
    assert split(text) == sentences


@pytest.mark.parametrize("text", [text for text, _ in CASES if text != "*** \n --- ... ?!"])
def test_growing_text_gives_the_same_sentences_however_it_comes(text):
    chance = random.Random(7)
    for _ in range(20):
        growing, found, at = Growing(), [], 0
        while at < len(text):
            # Not within a run of marks: what ends there is said at once.
            size = chance.randint(1, 4)
            while at + size < len(text) and not text[at + size].isspace():
                size += 1
            found += growing.append(text[at : at + size])
            at += size
        assert [*found, *growing.end()] == split(text)


def test_a_sentence_is_said_as_soon_as_it_ends_unless_it_may_go_on():
    growing = Growing()
    assert growing.append("It costs 3.") == []
    assert growing.append("14.") == []
    assert growing.append(" Cheap.") == ["It costs 3.14.", "Cheap."]
    assert growing.append("And then?") == ["And then?"]
    assert growing.end() == []


@pytest.mark.parametrize("text", ["word, " * 1000, "word " * 1000, "a" * 5000, "x" * 299 + "y " * 900])
def test_what_never_ends_is_cut_short(text):
    pieces = split(text)
    assert max(map(len, pieces)) <= LONGEST
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")
    growing = Growing()
    found = [piece for character in text for piece in growing.append(character)]
    assert max(map(len, found)) <= LONGEST
    assert "".join([*found, *growing.end()]).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    "text", ["." * 60_000 + "x", ("." * 99 + "'" * 99) * 300 + "x", "?!" * 30_000 + "'" * 30_000 + "x"]
)
def test_marks_without_end_take_no_time(text):
    began = time.process_time()
    split(text)
    Growing().append(text)
    # Regular expressions let nothing else run: by the square of these, the whole server would stand still for minutes.
    assert time.process_time() - began < 2


LANGUAGES = [
    ("This is not the way that we wanted to go.", "en"),
    ("Das ist nicht der Weg, den wir gehen wollten.", "de"),
    ("Ce n'est pas le chemin que nous avons choisi.", "fr"),
    ("No es el camino que queríamos, pero está muy bien.", "es"),
    ("Non è la strada che abbiamo scelto, ma sono contento.", "it"),
    ("Het is niet de weg die we wilden.", "nl"),
    ("Não é o caminho que você queria.", "pt"),
    ("Привет, как дела?", "ru"),
    ("Привіт, її звати Олена.", "uk"),
    ("你好，世界", "cmn"),
    ("こんにちは世界", "ja"),
    ("안녕하세요", "ko"),
    ("Γειά σου κόσμε", "el"),
    ("مرحبا بالعالم", "ar"),
    ("शुभ प्रभात", "hi"),
    ("OK", None),
    ("12345", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "language"), LANGUAGES)
def test_languages_are_guessed(text, language):
    assert language_of(text) == language


def tone(rate, seconds=1.0):
    return (np.sin(np.arange(int(rate * seconds)) * 2 * np.pi * 440 / rate) * 20_000).astype("<i2").tobytes()


def test_a_wav_file_is_read_by_others():
    with wave.open(io.BytesIO(audio.wav(tone(24_000), 24_000))) as read:
        assert read.getparams()[:4] == (1, 2, 24_000, 24_000)
        assert read.readframes(24_000) == tone(24_000)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
def test_samples_at_another_rate_sound_the_same(rate):
    found = np.frombuffer(audio.resampled(tone(rate), rate, 24_000), "<i2")
    wanted = np.frombuffer(tone(24_000), "<i2")
    assert len(found) == len(wanted)
    # The ends ring.
    assert np.abs(found[500:-500].astype(int) - wanted[500:-500]).max() < 200


def test_nothing_at_another_rate_is_nothing():
    assert audio.resampled(b"", 8_000, 24_000) == b""
