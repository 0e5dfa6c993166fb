"""Moving windows in memory: the decisions of the `limits` library, in bounded memory."""

from __future__ import annotations

import random

import pytest
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from moorage.limits.windows import MovingWindow, hit


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def window(rate: str, clock: Clock, **options: int) -> MovingWindow:
    return MovingWindow(parse(rate), clock=clock, **options)


def test_counts_down_refuses_and_lets_in_again(clock: Clock) -> None:
    one = window("3/minute", clock)
    states = []
    for _ in range(4):
        states.append(hit([(one, "a")], wall=lambda: 5000.0))
        clock.now += 10
    assert [(s.allowed, s.remaining) for s in states] == [(True, 2), (True, 1), (True, 0), (False, 0)]
    assert [s.limit for s in states] == [3, 3, 3, 3]
    assert states[0].reset_at == 5060
    assert states[3].retry_after == 30, "the first of three leaves sixty seconds after it came"
    assert states[3].reset_at == 5030
    assert states[0].retry_after == 0
    clock.now = 1000 + 60.5
    again = hit([(one, "a")])
    assert again.allowed
    assert again.remaining == 0, "the second and third are still in the window"


def test_refused_requests_do_not_count(clock: Clock) -> None:
    one = window("2/second", clock)
    for _ in range(10):
        hit([(one, "a")])
    clock.now += 1.01
    assert [hit([(one, "a")]).allowed for _ in range(3)] == [True, True, False]


def test_keys_do_not_meet(clock: Clock) -> None:
    one = window("1/minute", clock)
    assert hit([(one, "a")]).allowed
    assert hit([(one, "b")]).allowed
    assert not hit([(one, "a")]).allowed


def test_all_or_none(clock: Clock) -> None:
    narrow, wide = window("1/minute", clock), window("5/minute", clock)
    first = hit([(narrow, "u"), (wide, "a")])
    assert (first.limit, first.remaining) == (1, 0), "the tightest limit is told"
    for _ in range(10):
        assert not hit([(narrow, "u"), (wide, "a")]).allowed
    others = [hit([(wide, "a")]).allowed for _ in range(5)]
    assert others == [True] * 4 + [False], "what the narrow limit refused has not used up the wide one"


def test_same_decisions_as_the_library(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", clock)
    item = parse("5/minute")
    library = MovingWindowRateLimiter(MemoryStorage())
    library.storage.timer.join()
    ours = window("5/minute", clock)
    rng = random.Random(4)
    for _ in range(2000):
        clock.now += rng.choice([0.0, 0.5, 3.0, 11.0, 47.0])
        key = rng.choice("abc")
        expected = library.storage.acquire_entry(item.key_for(key), item.amount, item.get_expiry())
        assert hit([(ours, key)]).allowed is expected


def test_idle_keys_are_forgotten(clock: Clock) -> None:
    one = window("10/second", clock)
    for number in range(1000):
        hit([(one, f"k{number}")])
    assert len(one) == 1000
    clock.now += 5
    for _ in range(1100):
        clock.now += 0.2
        hit([(one, "busy")])
    assert len(one) == 1
    assert one.total <= 10


def test_memory_is_bounded_by_keys_and_by_hits(clock: Clock) -> None:
    one = window("100/hour", clock, max_keys=50)
    for number in range(5000):
        hit([(one, f"k{number}")])
    assert len(one) == 50
    assert one.total == 50
    two = window("100/hour", clock, max_hits=300)
    for number in range(20):
        for _ in range(40):
            hit([(two, f"k{number}")])
    assert two.total <= 300
    assert hit([(two, "k19")]).remaining == 59, "the newest are kept"


def test_a_refused_key_is_not_washed_out(clock: Clock) -> None:
    one = window("1/hour", clock, max_keys=10)
    hit([(one, "bad")])
    for number in range(200):
        assert not hit([(one, "bad")]).allowed
        hit([(one, f"k{number}")])
