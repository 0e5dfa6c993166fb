"""kokorox's WebSocket as its clients find it, by the real engines."""

from __future__ import annotations

import json
import threading

import pytest
from voicesite import samples_of, seconds_of, voice_site
from waits import WAIT
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

SENTENCES = "Stop the running container and delete the session. Thank you very much, that is all for now!"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with voice_site(tmp_path_factory.mktemp("kokorox"), {"tts": {"max_text_bytes": 1_000_000}}) as site:
        yield site


def alike(seconds):
    """How long the same voice takes for the same: engines put a little noise into what they say."""
    return pytest.approx(seconds, rel=0.01)


def loudness(file):
    samples = memoryview(samples_of(file)).cast("h")
    return max(abs(sample) for sample in samples)


def test_it_lists_its_voices_and_which_of_them_speaks(site):
    with site.speaker() as speaker:
        voices = speaker.answer("list_voices")
        assert voices["type"] == "voices"
        assert voices["voice"] == voices["voices"][0] == "pico_en-us"
        assert {"pico_de-de", "espeak_nl", "espeak_cmn", "espeak_en-us_f"} <= set(voices["voices"])
        assert speaker.answer("set_voice", voice="espeak_nl") == {"type": "voice_changed", "voice": "espeak_nl"}
        assert speaker.answer("list_voices")["voice"] == "espeak_nl"


def test_a_text_is_said_sentence_by_sentence(site):
    with site.speaker() as speaker:
        speaker.ask("synthesize", text=SENTENCES)
        events = speaker.until("synthesis_completed")
        assert [event["type"] for event in events] == [
            "synthesis_started", "audio_chunk", "audio_chunk", "synthesis_completed",
        ]  # fmt: skip
        assert [(event["index"], event["total"], event["sample_rate"]) for event in events[1:3]] == [
            (0, 2, 24_000), (1, 2, 24_000),
        ]  # fmt: skip
        for file in speaker.say(SENTENCES):
            assert 2 < seconds_of(file) < 5
            assert loudness(file) > 2000
            assert file[:4] == b"RIFF"
            assert int.from_bytes(file[4:8], "little") == len(file) - 8
            assert int.from_bytes(file[40:44], "little") == len(file) - 44


def test_speed_holds_until_it_is_changed_and_stays_within_its_bounds(site):
    with site.speaker() as speaker:
        (usual,) = speaker.say("This is said at some speed.")
        assert speaker.answer("set_speed", speed=2) == {"type": "speed_changed", "speed": 2.0}
        (fast,) = speaker.say("This is said at some speed.")
        (own,) = speaker.say("This is said at some speed.", speed=1)
        assert seconds_of(fast) < 0.75 * seconds_of(usual)
        assert seconds_of(own) == alike(seconds_of(usual))
        assert speaker.answer("set_speed", speed=99)["speed"] == 3.0
        assert speaker.answer("set_speed", speed=-1)["speed"] == 0.1


def test_languages_choose_voices(site):
    with site.speaker() as speaker:

        def said(**members):
            return [seconds_of(file) for file in speaker.say("Restaurant, telephone, international.", **members)]

        english = said()
        assert speaker.answer("set_language", language="fr") == {"type": "language_changed", "language": "fr"}
        assert said() == alike(said(voice="pico_fr-fr"))
        assert said() != alike(english)
        assert said(language="de-AT") == alike(said(voice="pico_de-de"))
        # A voice that is chosen later goes before the language.
        speaker.answer("set_voice", voice="pico_en-us")
        assert said() == alike(english)
        # What the first engine has no voice for, another one speaks.
        assert said(language="nl") == alike(said(voice="espeak_nl_f"))


def test_kokoros_own_voices_and_mixes_are_spoken_by_the_nearest(site):
    with site.speaker() as speaker:

        def said(voice=None):
            members = {"voice": voice} if voice is not None else {}
            return [seconds_of(file) for file in speaker.say("The rain in Spain stays mainly in the plain.", **members)]

        american, british = said("pico_en-us"), said("pico_en-gb")
        assert american != alike(british)
        assert speaker.answer("set_voice", voice="af_heart") == {"type": "voice_changed", "voice": "af_heart"}
        assert speaker.answer("list_voices")["voice"] == "af_heart"
        assert said() == alike(american)
        assert said("bm_george") == alike(british)
        assert said("if_sara") == alike(said("pico_it-it"))
        assert said("jm_kumo") == alike(said("espeak_ja"))
        assert said("af_sky.4+bf_emma.5") == alike(british)
        assert said("af_sky.6+bf_emma.45") == alike(american)


def test_a_language_is_found_out_for_who_wants_it(site):
    german, russian = "Das ist nicht der Weg, den wir gehen.", "Привет, мир, как дела"
    with site.speaker() as speaker:

        def said(text, **members):
            return [seconds_of(file) for file in speaker.say(text, **members)]

        plain = said(german)
        answer = speaker.answer("set_auto_detect", auto_detect=True)
        assert answer == {"type": "auto_detect_changed", "auto_detect": True}
        assert said(german) == alike(said(german, voice="pico_de-de", auto_detect=False))
        assert said(german) != alike(plain)
        assert said(russian) == alike(said(russian, language="ru"))
        # A language that was asked for goes before.
        assert said(german, language="en") == alike(plain)


def test_a_text_that_grows_is_said_as_its_sentences_end(site):
    with site.speaker() as speaker:
        started = speaker.answer("stream_start", voice="pico_en-gb", speed=1.5)
        id = started["stream_id"]
        assert started == {"type": "stream_started", "stream_id": id}
        for token in ("It ", "costs ", "3", ".", "14", " pounds", ", ", "e", ".", "g", ".", " here", "."):
            speaker.ask("stream_append", stream_id=id, text=token)
        first = speaker.event()
        assert {**first, "chunk": ""} == {
            "type": "stream_chunk", "stream_id": id, "chunk": "", "index": 0, "sample_rate": 24_000,
        }  # fmt: skip
        speaker.ask("stream_append", stream_id=id, text=" And now\nthe rest")
        assert speaker.event()["index"] == 1
        speaker.ask("stream_end", stream_id=id)
        assert speaker.event()["index"] == 2
        assert speaker.event() == {"type": "stream_ended", "stream_id": id, "total_chunks": 3}
        assert speaker.answer("stream_append", stream_id=id, text="x")["type"] == "error"
        # The name is free again.
        assert speaker.answer("stream_start", stream_id=id)["type"] == "stream_started"
        assert speaker.answer("stream_end", stream_id=id) == {
            "type": "stream_ended", "stream_id": id, "total_chunks": 0,
        }  # fmt: skip


def test_a_stream_that_is_cancelled_says_no_more_while_others_go_on(site):
    with site.speaker() as speaker:
        speaker.answer("stream_start", stream_id="one")
        speaker.answer("stream_start", stream_id="two")
        speaker.ask("stream_append", stream_id="one", text="This is a sentence. " * 100)
        speaker.ask("stream_append", stream_id="two", text="Another one. ")
        assert speaker.event()["stream_id"] == "one"
        speaker.ask("stream_end", stream_id="one")
        speaker.ask("stream_cancel", stream_id="one")
        events = speaker.until("stream_cancelled")
        assert len(events) < 90, "it was said to its end"
        assert events[-1] == {"type": "stream_cancelled", "stream_id": "one"}
        assert speaker.event()["stream_id"] == "two"
        assert speaker.answer("stream_end", stream_id="two")["total_chunks"] == 1
        assert speaker.answer("stream_cancel", stream_id="one")["type"] == "error"


def test_what_is_asked_meanwhile_is_answered_at_once_and_said_in_its_turn(site):
    with site.speaker() as speaker:
        speaker.ask("synthesize", text="First sentence. " * 40)
        speaker.ask("synthesize", text="Second.", voice="pico_de-de")
        assert speaker.event()["type"] == "synthesis_started"
        speaker.ask("set_voice", voice="pico_en-gb")
        kinds = [event["type"] for event in speaker.until("voice_changed")]
        assert "synthesis_completed" not in kinds
        said = [event["type"] for event in speaker.until("synthesis_completed")]
        assert said.count("audio_chunk") + kinds.count("audio_chunk") == 40
        assert [event["type"] for event in speaker.until("synthesis_completed")] == [
            "synthesis_started", "audio_chunk", "synthesis_completed",
        ]  # fmt: skip


WRONG = [
    ("{", "Malformed JSON"),
    ("[]", "Expected a JSON object"),
    ("", "command"),
    (b"\x00\x01", "text frames"),
    ('{"command": "sing"}', "unknown command: sing"),
    ('{"command": 5}', "command"),
    ('{"command": "synthesize"}', "text is needed"),
    ('{"command": "synthesize", "text": 7}', "text"),
    ('{"command": "synthesize", "text": "\\ud800"}', "surrogate"),
    ('{"command": "synthesize", "text": "a", "voice": "nobody"}', "no such voice: nobody"),
    ('{"command": "synthesize", "text": "a", "voice": "af_sky.4+nobody"}', "no such voice: nobody"),
    ('{"command": "synthesize", "text": "a", "voice": "+"}', "no such voice"),
    ('{"command": "synthesize", "text": "a", "language": "tlh-klingon"}', "no voice speaks the language"),
    ('{"command": "synthesize", "text": "a", "language": "../.."}', "no language"),
    ('{"command": "synthesize", "text": "a", "speed": 1e999}', "too large"),
    ('{"command": "synthesize", "text": "a", "speed": NaN}', "Malformed JSON"),
    ('{"command": "set_voice"}', "voice is needed"),
    ('{"command": "set_speed", "speed": "quick"}', "speed"),
    ('{"command": "set_auto_detect", "auto_detect": "yes"}', "auto_detect"),
    ('{"command": "stream_append", "stream_id": "none", "text": "a"}', "no such stream: none"),
    ('{"command": "stream_append", "text": "a"}', "stream_id is needed"),
    ('{"command": "stream_start", "voice": "nobody"}', "no such voice"),
    (json.dumps({"command": "synthesize", "text": "word " * 200_001}), "too long: 1000000 bytes"),
    (json.dumps({"command": "synthesize", "text": "é" * 500_001}, ensure_ascii=False), "too long: 1000000 bytes"),
]


def test_what_is_asked_wrongly_is_told_and_the_connection_goes_on(site):
    with site.speaker() as speaker:
        for sent, told in WRONG:
            speaker.socket.send(sent)
            event = speaker.event()
            assert event["type"] == "error", sent[:100]
            assert told in event["message"], sent[:100]
            assert len(event["message"]) < 500
        assert speaker.say("Still here.")


def test_texts_with_nothing_to_say_are_done_at_once(site):
    with site.speaker() as speaker:
        assert speaker.say("") == []
        assert speaker.say(" ... \n *** ?!") == []
        # A voice without a sound for it is silent, and its client not left waiting.
        (silent,) = speaker.say("日本語", voice="pico_en-us")
        assert seconds_of(silent) == pytest.approx(0.1)


HOSTILE = [
    "\x00nothing\x07 \x1b[31m",
    "<spell>hello <volume level='500'/> <play file=\"/etc/passwd\"/> <",
    "é" * 2500,
    "a" * 301,
    "&amp; \\ \\x \\pause=100000\\ [[h@'loU]] {{}} %s%n",
    "\u0301" * 300 + "a",
    "😀 👩‍👩‍👧 ok",
    "1" * 90,
    "'" * 300,
    "\u202e\ufeff\ufffd\u2028 odd",
    "x " * 30,
]


@pytest.mark.parametrize("voice", ["pico_en-us", "espeak_cmn_f"])
def test_no_text_takes_an_engine_down(site, voice):
    with site.speaker() as speaker:
        for text in HOSTILE:
            speaker.say(text, voice=voice)
        (file,) = speaker.say("Hello.", voice=voice)
        assert loudness(file) > 1000


def test_a_text_of_a_megabyte_is_said_where_it_may_be(site):
    text = "Another sentence of some words. " * 31_250
    with site.speaker() as speaker:
        speaker.ask("synthesize", text=text)
        speaker.until("audio_chunk")
        chunk = speaker.event()
        assert (chunk["index"], chunk["total"]) == (1, 31_250)
        # Who leaves in the middle of it leaves nothing behind for the next.
        speaker.socket.close()
        with site.speaker() as other:
            assert other.say("Hello.")


def test_an_engine_that_dies_is_told_and_the_next_is_served(site):
    with site.speaker() as speaker:
        speaker.ask("synthesize", text="This is said until it dies. " * 300)
        speaker.until("audio_chunk")
        with site.crashing("pico"):
            (*_, last) = speaker.until("error", "synthesis_completed")
        assert last == {"type": "error", "message": "internal server error"}
        with pytest.raises(ConnectionClosed) as closed:
            speaker.event()
        assert closed.value.rcvd.code == 1011
    with site.speaker() as speaker:
        assert speaker.say("Here I am.")
    assert "This is said" not in site.server.stderr


def test_as_many_as_may_be_are_served_and_more_are_told(tmp_path):
    with voice_site(tmp_path, {"tts": {"max_sessions": 3, "max_sessions_per_user": 2}}) as site:
        with site.speaker() as first, site.speaker() as second:
            assert first.say("One.")
            assert second.say("Two.")
            with site.speaker() as third:
                assert third.event() == {
                    "type": "error", "message": "server busy - maximum concurrent sessions reached",
                }  # fmt: skip
                with pytest.raises(ConnectionClosed) as closed:
                    third.event()
                assert closed.value.rcvd.code == 1013
            with site.speaker("ben") as other:
                assert other.say("Somebody else.")
        with site.speaker() as again:
            assert again.say("There is a place again.")


def test_some_speak_at_once_without_waiting_for_the_longest(site):
    done = threading.Event()
    with site.speaker() as long, site.speaker("ben") as short:

        def read():
            long.until("synthesis_completed")
            done.set()

        long.ask("synthesize", text="A long text of many sentences. " * 60)
        long.until("audio_chunk")
        reading = threading.Thread(target=read)
        reading.start()
        assert short.say("A short one.")
        assert not done.is_set()
        reading.join(4 * WAIT)
        assert done.is_set()


def test_strangers_are_not_served(site):
    with pytest.raises(InvalidStatus) as refused, connect(f"{site.server.ws_url}/api/voice/tts"):
        pass
    assert refused.value.response.status_code == 401
