"""Words out of guesses that change: which are told, and what is set right in the end."""

from __future__ import annotations

import pytest
from moorage_voice.engines.models.lines import LAG, Line, rest, spread


def timed(text: str) -> list[tuple[str, float, float]]:
    """A word each second."""
    return [(word, float(at), at + 0.5) for at, word in enumerate(text.split())]


def told(line: Line, guess: str) -> str:
    return " ".join(word for word, _, _ in line.grown(timed(guess)))


def test_a_word_is_told_when_two_guesses_have_it_and_more_follows() -> None:
    line = Line()
    assert told(line, "Start") == ""
    assert told(line, "Stop the") == ""
    assert told(line, "Stop the run") == "Stop the"
    assert told(line, "stop the, running container") == ""
    assert told(line, "Stop the running container and") == "running container"
    assert [word for word, _, _ in line.completed(timed("Stop the running container now."))] == ["now."]
    assert [word for word, _, _ in line.given] == ["Stop", "the", "running", "container", "now."]


def test_what_was_told_and_reads_otherwise_later_holds_nothing_up() -> None:
    line = Line()
    for guess in ("some of its noisiest authors a b", "some of its noisiest authors a b c"):
        told(line, guess)
    assert told(line, "some of its noisy authors a b c d e") == "c"
    assert told(line, "some of its noisy authors a b c d e f") == "d e"
    assert [word for word, _, _ in line.completed(timed("some of its noisy authors a b c d e f g"))] == ["f", "g"]


@pytest.mark.parametrize(
    ("before", "whole", "following"),
    [
        ("", "a b", "a b"),
        ("a b", "a b", ""),
        ("a b", "a b c", "c"),
        ("a x c", "a b c d", "d"),
        ("a b c", "a b", ""),
        ("a b x", "a b c d", "c d"),
        ("x y z", "a b", "a b"),
        ("a a b", "a b c", "c"),
    ],
)
def test_the_rest_of_a_line(before: str, whole: str, following: str) -> None:
    words = whole.split()
    assert words[rest(before.split(), words) :] == following.split()


def test_times_never_go_back() -> None:
    line = Line()
    for _ in range(2):
        line.grown([("one", 0.0, 1.0), ("two", 1.0, 2.0), ("three", 2.0, 3.0 + LAG)])
    line.completed([("one", 0.0, 0.4), ("two", 0.4, 0.8), ("three", 0.8, 1.2), ("four", 1.2, 1.6)])
    times = [time for _, start, end in line.given for time in (start, end)]
    assert times == sorted(times)


def test_a_text_is_spread_over_its_seconds_by_letters() -> None:
    assert spread("", 1.0, 2.0) == []
    assert spread(" … , ", 1.0, 2.0) == []
    words = spread("I understand, - you!", 10.0, 4.0)
    assert [word for word, _, _ in words] == ["I", "understand,", "you!"]
    assert words[0][1] == 10.0
    assert words[-1][2] == 14.0
    lengths = [end - start for _, start, end in words]
    assert lengths[0] < lengths[2] < lengths[1]
