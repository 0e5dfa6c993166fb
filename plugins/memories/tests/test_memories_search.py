"""How memories are found, on both databases, with the real model: by words, by what is alike, by meaning, by both."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from memorystore import MemoryStores, opened
from moorage.api import Unavailable
from moorage_memories.records import Change, Draft, Filter, MemoryType, Mode, Scope
from moorage_memories.store.parts import MOST, parts
from moorage_memories.store.words import MAX_BYTES, wanted, words

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = {
    "boat": "The harbour master moved our sailing boat to pier seven.",
    "dentist": "My appointment with the dentist is on Tuesday at nine.",
    "deploy": "Deployments to production are frozen until the audit is over.",
    "coffee": "She takes her coffee black, without sugar.",
    "backup": "Nightly backups of the database are kept in Lisbon.",
    "german": "Der Größte Übermut kostet viel",
    "japanese": "今日はいい天気ですね。",
    "code": "call foo_bar.baz() at 100% of C++ on host-7.example.org",
    "hindi": "हिन्दी भाषा में लिखो",
    "quotes": "it's a \"quoted\" 'thing' & | ! ( ) : * \\ NEAR AND OR NOT",
    "marks": "?! --",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def store(request, tmp_path_factory):
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgres" else None
    async with opened(tmp_path_factory.mktemp("search"), {"max_content_bytes": 1024 * 1024}, url=url) as store:
        yield store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(store: MemoryStores):
    """A user with TEXTS, beside one who has the same."""
    await filled_scope(store)
    return await filled_scope(store)


async def filled_scope(store: MemoryStores) -> Scope:
    scope = await store.scope("things")
    await store.add(scope, *TEXTS.values())
    await embedded(store)
    return scope


async def embedded(store: MemoryStores) -> None:
    """Wait until every memory has its vector."""

    async def done() -> bool:
        return await store.backend.index.waiting() == 0

    if store.plugin.encoder.lacking:
        pytest.skip(store.plugin.encoder.lacking)
    await store.until(done)


async def found(store: MemoryStores, scope: Scope, q: str, mode: Mode, limit: int = 10, **filter) -> list[str]:
    """The names of what is found, or its text."""
    answer = await store.backend.search(scope, q, mode=mode, filter=Filter(**filter), limit=limit)
    assert answer.mode is mode
    scores = [one.score for one in answer.memories]
    assert scores == sorted(scores, reverse=True), "best first"
    names = {text: name for name, text in TEXTS.items()}
    return [names.get(one.content, one.content) for one in answer.memories]


# -- by words ----------------------------------------------------------------------------------------------------

KEYWORDS = {
    "harbour boat": ["boat"],
    "HARB sail": ["boat"],
    "boat dentist": [],
    "ubermut": ["german"],
    "GRÖSSTE über": ["german"],
    "天気": ["japanese"],
    "天": ["japanese"],
    "ね": ["japanese"],
    "天で": [],
    "BAZ foo": ["code"],
    "100": ["code"],
    "c": ["code"],
    "o": [],
    "example.org": ["code"],
    "हिन्दी": ["hindi"],
    "it's": ["quotes"],
    '"quoted" & thing': ["quotes"],
    "near not": ["quotes"],
    "the": ["quotes", "backup", "deploy", "dentist", "boat"][1:],
    "?! -- \\ '": [],
    "\ue0001": [],
}


async def test_keywords_are_all_there_or_begin_so(store: MemoryStores, filled: Scope):
    for q, names in KEYWORDS.items():
        assert await found(store, filled, q, Mode.KEYWORD) == names, q


async def test_the_newest_come_first_by_keywords(store: MemoryStores):
    scope = await store.scope()
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    days = [3, 1, 4, 2]
    await store.backend.add(scope, [Draft(f"anchor {n}", created_at=begin + timedelta(days=n)) for n in days])
    assert await found(store, scope, "anchor", Mode.KEYWORD) == ["anchor 4", "anchor 3", "anchor 2", "anchor 1"]
    assert await found(store, scope, "anchor", Mode.KEYWORD, limit=2) == ["anchor 4", "anchor 3"]


async def test_rare_words_weigh_more_and_short_texts_too(store: MemoryStores):
    scope = await store.scope()
    long = "common walrus " + "and much else besides " * 10
    await store.add(scope, *(f"the common {n} filler" for n in range(20)))
    await store.add(scope, long, "common walrus", "walrus walrus walrus")
    hits = await found(store, scope, "common walrus", Mode.BM25)
    assert set(hits[:3]) == {long, "common walrus", "walrus walrus walrus"}, "a common word says little"
    assert hits[2] == long
    assert await found(store, scope, "walrus", Mode.BM25) == ["walrus walrus walrus", "common walrus", long]
    answer = await store.backend.search(scope, "walrus", mode=Mode.SPARSE, filter=Filter(), limit=1)
    assert (answer.mode, answer.memories[0].content) == (Mode.BM25, "walrus walrus walrus")


async def test_bm25_finds_any_word_of_any_script(store: MemoryStores, filled: Scope):
    for q, name in {
        "where is my dentist's walrus": "dentist",
        "天気 walrus": "japanese",
        "भाषा": "hindi",
        "Übermut!": "german",
    }.items():
        assert (await found(store, filled, q, Mode.BM25))[0] == name, q
    assert await found(store, filled, "walrus", Mode.BM25) == []
    assert await found(store, filled, "?!", Mode.BM25) == []
    long = "harbour " + " ".join(f"w{n}" for n in range(2000))
    assert await found(store, filled, long, Mode.BM25) == ["boat"]


async def test_typing_errors_and_other_endings(store: MemoryStores, filled: Scope):
    for q, name in {
        "harbuor": "boat",
        "hrabour mastre": "boat",
        "apointment denist": "dentist",
        "deploying": "deploy",
        "cofee suger": "coffee",
        "databse": "backup",
        "grösste ubermutt": "german",
        "天気": "japanese",
    }.items():
        hits = await found(store, filled, q, Mode.FUZZY)
        assert hits[:1] == [name], (q, hits)
    assert await found(store, filled, "xylophone", Mode.FUZZY) == []


async def test_what_is_written_and_changed_is_alike_at_once(store: MemoryStores):
    scope = await store.scope()
    assert await found(store, scope, "kangaroo", Mode.FUZZY) == []
    (one,) = await store.add(scope, "a kangaroo hops")
    assert await found(store, scope, "kangarro", Mode.FUZZY) == ["a kangaroo hops"]
    await store.backend.change(scope, one.id, Change(content="an elephant walks"))
    assert await found(store, scope, "kangarro", Mode.FUZZY) == []
    assert await found(store, scope, "elefant", Mode.FUZZY) == ["an elephant walks"]
    await store.backend.delete(scope, one.id)
    assert await found(store, scope, "elefant", Mode.FUZZY) == []


# -- by meaning --------------------------------------------------------------------------------------------------

MEANT = {
    "Where is the yacht?": "boat",
    "teeth": "dentist",
    "May I release a new version now?": "deploy",
    "what does she like to drink": "coffee",
    "Can lost data be restored?": "backup",
}


async def test_meaning_is_found_without_any_word(store: MemoryStores, filled: Scope):
    for q, name in MEANT.items():
        assert (await found(store, filled, q, Mode.SEMANTIC))[0] == name, q
        assert (await found(store, filled, q, Mode.HYBRID))[0] == name, q


async def test_both_lists_count(store: MemoryStores, filled: Scope):
    for q, name in {"foo_bar teeth": {"code", "dentist"}, "天気 yacht": {"japanese", "boat"}}.items():
        assert name == set((await found(store, filled, q, Mode.HYBRID))[:2]), q
    assert (await found(store, filled, "hrabuor mastre", Mode.HYBRID))[0] == "boat", "typing errors too"


async def test_a_typing_error_beside_a_right_word_is_mended_in_a_hybrid_search(store: MemoryStores):
    """Though enough is found by the right word alone."""
    scope = await store.scope()
    await store.add(scope, *(f"Marlowe visited the lighthouse, {n}" for n in range(12)), "Marlowe mended the spinnaker")
    await embedded(store)
    assert (await found(store, scope, "marlowe spinakker", Mode.HYBRID, limit=5))[0] == "Marlowe mended the spinnaker"


async def test_a_long_text_is_found_by_what_its_end_means(store: MemoryStores):
    scope = await store.scope()
    filler = "Minutes of a meeting about the budget of the second quarter. " * 40
    long = filler + "The veterinarian vaccinated our two kittens against rabies."
    assert len(parts(long)) > 3
    await store.add(scope, filler, long, "The cellar is damp.")
    await embedded(store)
    assert await found(store, scope, "cats and their illnesses", Mode.SEMANTIC, limit=1) == [long]
    hits = await found(store, scope, "budget meeting", Mode.SEMANTIC)
    assert sorted(hits[:2]) == sorted([filler, long]), "once each, though they have many vectors"


async def test_vectors_follow_changes_and_deletions(store: MemoryStores):
    scope = await store.scope()
    boat, tea = await store.add(scope, TEXTS["boat"], TEXTS["coffee"])
    await embedded(store)
    assert (await found(store, scope, "yacht", Mode.SEMANTIC))[0] == "boat"
    await store.backend.change(scope, boat.id, Change(content=TEXTS["dentist"]))
    await embedded(store)
    assert await found(store, scope, "teeth", Mode.SEMANTIC, limit=1) == ["dentist"]
    assert "dentist" not in await found(store, scope, "yacht", Mode.SEMANTIC)
    await store.backend.change(scope, boat.id, Change(importance=9))
    assert await store.backend.index.waiting() == 0, "the text is as it was"
    await store.backend.delete(scope, boat.id)
    assert await found(store, scope, "teeth", Mode.SEMANTIC, limit=1) in ([], ["coffee"])
    await store.backend.delete(scope, tea.id)
    assert await found(store, scope, "coffee", Mode.SEMANTIC) == []
    for table in ("memories_vectors", "memories_pending"):
        assert (
            await store.rows(f"SELECT 1 AS one FROM {table} WHERE memory_id NOT IN (SELECT id FROM memories_entries)")
            == []
        )


# -- whose, and which --------------------------------------------------------------------------------------------

QUERIES = {
    Mode.KEYWORD: "harbour",
    Mode.FUZZY: "harbuor",
    Mode.BM25: "harbour",
    Mode.SEMANTIC: "yacht in the port",
    Mode.HYBRID: "harbour",
}


@pytest.mark.parametrize("mode", QUERIES)
async def test_only_the_scopes_memories_are_found(store: MemoryStores, filled: Scope, mode: Mode):
    q = QUERIES[mode]
    other = await store.scope()
    assert await found(store, other, q, mode) == [], "a user who has none"
    assert await found(store, Scope(filled.owner_id, "nothing"), q, mode) == [], "a store that is not there"
    assert await found(store, Scope(other.owner_id, "things"), q, mode) == [], "another user's store"
    assert (await found(store, Scope(filled.owner_id), q, mode))[0] == "boat", "all of one's stores"
    mine = Scope(filled.owner_id, "elsewhere")
    text = f"An old boat in another harbour, {mode}"
    (added,) = await store.add(mine, text)
    await embedded(store)
    assert (await found(store, mine, q, mode)) == [text]
    assert text not in await found(store, filled, q, mode)
    assert {text, "boat"} <= set(await found(store, Scope(filled.owner_id), q, mode))
    await store.backend.delete(mine, added.id)


@pytest.mark.parametrize("mode", QUERIES)
async def test_filters_hold_in_every_mode(store: MemoryStores, mode: Mode):
    scope = await store.scope()
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    for n in range(8):
        draft = Draft(
            f"boat {n} in the harbour",
            category="odd" if n % 2 else "even",
            memory_type=MemoryType.EPISODIC if n < 4 else MemoryType.SEMANTIC,
            tags=("all", f"t{n}"),
            importance=n + 1,
            created_at=begin + timedelta(days=n),
        )
        await store.backend.add(scope, [draft])
    await embedded(store)

    async def numbers(**filter) -> set[int]:
        return {int(text.split()[1]) for text in await found(store, scope, QUERIES[mode], mode, **filter)}

    assert await numbers() == set(range(8))
    assert await numbers(category="odd") == {1, 3, 5, 7}
    assert await numbers(memory_type=MemoryType.EPISODIC) == {0, 1, 2, 3}
    assert await numbers(tags=("all", "t5")) == {5}
    assert await numbers(min_importance=7) == {6, 7}
    assert await numbers(since=begin + timedelta(days=5)) == {5, 6, 7}
    assert await numbers(until=begin + timedelta(days=2)) == {0, 1}
    assert await numbers(category="odd", min_importance=5, tags=("all",)) == {5, 7}
    assert await numbers(category="none") == set()


# -- at the same time, and what is away --------------------------------------------------------------------------


async def test_writing_and_deleting_at_once_leave_no_vectors_behind(store: MemoryStores):
    scope = await store.scope()
    made = await store.add(scope, *(f"{n} ships" for n in range(60)))
    await asyncio.gather(
        *(store.backend.delete(scope, one.id) for one in made[::2]),
        *(store.backend.change(scope, one.id, Change(content=f"changed {n}")) for n, one in enumerate(made[1::2])),
    )
    await embedded(store)
    rows = await store.rows(
        "SELECT m.content, COUNT(*) AS n FROM memories_entries m JOIN memories_vectors v ON v.memory_id = m.id "
        f"WHERE m.user_id = {scope.owner_id} GROUP BY m.content"
    )
    assert sorted(rows) == sorted((f"changed {n}", 1) for n in range(30))
    assert len(await store.rows(f"SELECT 1 AS one FROM memories_vectors WHERE user_id = {scope.owner_id}")) == 30


async def test_another_model_gives_all_new_vectors(store: MemoryStores, filled: Scope):
    """As after the operator has named another folder."""
    async with store.hub.db.transaction() as connection:
        await connection.execute_query("UPDATE memories_vectors SET model = 'another'")
    index = store.backend.index
    index._meaning.forget(filled.owner_id)
    index._backfill._adopted = ""
    await store.add(filled, "this one wakes it")
    await embedded(store)
    assert (await found(store, filled, "yacht", Mode.SEMANTIC))[0] == "boat"
    assert await store.rows("SELECT 1 AS one FROM memories_vectors WHERE model = 'another'") == []


async def test_another_model_is_noticed_before_anything_is_written(store: MemoryStores, filled: Scope):
    async with store.hub.db.transaction() as connection:
        await connection.execute_query("UPDATE memories_vectors SET model = 'another'")
    index = store.backend.index
    index._meaning.forget(filled.owner_id)
    index._backfill._adopted = ""
    assert await found(store, filled, "yacht", Mode.SEMANTIC) == []
    index._backfill.wake()

    async def none() -> bool:
        return await store.rows("SELECT 1 AS one FROM memories_vectors WHERE model = 'another'") == []

    await store.until(none)
    await embedded(store)
    assert (await found(store, filled, "yacht", Mode.SEMANTIC))[0] == "boat"


async def test_without_the_model_hybrid_goes_by_words(store: MemoryStores, filled: Scope):
    encoder = store.plugin.encoder
    encoder.on = False
    try:
        with pytest.raises(Unavailable, match="switched off"):
            await found(store, filled, "yacht", Mode.SEMANTIC)
        answer = await store.backend.search(filled, "harbour", mode=Mode.HYBRID, filter=Filter(), limit=5)
        assert (answer.mode, answer.memories[0].content) == (Mode.BM25, TEXTS["boat"])
        await store.add(filled, "A lighthouse blinks.")
        assert await store.backend.index.waiting() == 1
    finally:
        encoder.on = True
    store.backend.index._backfill.wake()
    await embedded(store)
    assert (await found(store, filled, "beacon for ships", Mode.SEMANTIC))[0] == "A lighthouse blinks."


async def test_a_user_with_more_vectors_than_memory_is_searched_too(store: MemoryStores, filled: Scope, monkeypatch):
    meaning = store.backend.index._meaning
    wanted = await found(store, filled, "yacht", Mode.SEMANTIC)
    monkeypatch.setattr(meaning, "_max", 1)
    monkeypatch.setattr("moorage_memories.store.meaning.AT_ONCE", 3)
    assert await found(store, filled, "yacht", Mode.SEMANTIC) == wanted
    assert filled.owner_id not in meaning._users


async def test_a_huge_memory_is_found_by_its_beginning(store: MemoryStores):
    scope = await store.scope()
    text = "beginning " + " ".join(f"{n * 2654435761 % 2**32:x}" for n in range(80_000))
    assert sum(len(word) for word in words(text)) <= MAX_BYTES < len(text)
    await store.add(scope, text)
    for mode in (Mode.KEYWORD, Mode.BM25, Mode.FUZZY):
        assert await found(store, scope, "beginning", mode) == [text]
    await store.backend.delete(scope, (await store.page(scope)).memories[0].id)


# -- how texts are cut -------------------------------------------------------------------------------------------


async def test_words_of_a_search_are_few_and_different():
    assert [one.text for one in wanted("the THE Thé " * 50)] == ["the"]
    assert len(wanted(" ".join(f"w{n}" for n in range(100)))) == 12
    assert len(wanted("天" * 5 + "気" * 5 + "".join(map(chr, range(0x4E00, 0x4F00))))) == 12


@pytest.mark.parametrize(
    "text", ["", " ", "x" * 50_000, "word " * 5000, "今日はいい天気ですね。" * 500, "One. Two! " * 400, "a\n\nb" * 900]
)
async def test_parts_are_of_the_text_and_few(text: str):
    found = parts(text)
    assert 1 <= len(found) <= MOST
    assert all(len(part) <= 875 for part in found)
    assert "".join("".join(found).split()) == "".join(text.split())[: len("".join("".join(found).split()))]
