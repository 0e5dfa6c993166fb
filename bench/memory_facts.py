"""Memories with labels, made up: each is one person, one doing and one thing, and no two are about the same three.

A search asks for one of them: by words that are in it, by the same with typing errors, or by other words for the same
doing and thing. All others with the same person, or thing, or doing, are wrong answers that are near.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

PEOPLE = (
    "Alice", "Anton", "Beatrix", "Boris", "Carla", "Cyril", "Daphne", "Dmitri", "Edith", "Emil", "Fatima", "Felix",
    "Greta", "Gustav", "Hanna", "Hector", "Ingrid", "Ivan", "Jasmin", "Jorge", "Karla", "Kenji", "Leona", "Linus",
    "Maria", "Milan", "Nadia", "Nils", "Olga", "Oscar", "Paula", "Pedro", "Quentin", "Rosa", "Ruben", "Selma",
    "Simon", "Tamara", "Tobias", "Ursula", "Uwe", "Valeria", "Victor", "Wanda", "Walter", "Xenia", "Yusuf", "Yvonne",
    "Zelda", "Zoltan", "Agnes", "Bruno", "Celia", "Darius", "Elena", "Fabian", "Gloria", "Harald", "Irene", "Jakob",
    "Katrin", "Lorenz", "Marta", "Norbert", "Odette", "Pavel", "Renata", "Sergio", "Thelma", "Ulrich", "Vera",
    "Wilma", "Amara", "Bilal", "Chiara", "Dylan", "Esther", "Farid", "Gemma", "Hugo", "Imani", "Jonas", "Kamila",
    "Leif", "Mirjam", "Nuria", "Otto", "Priya", "Rafael", "Sanna", "Tariq", "Umberto", "Violet", "Wendel", "Yara",
    "Zeno", "Astrid", "Basil", "Clara", "Dorian",
)  # fmt: skip
THINGS = (
    ("bicycle", "bike"), ("sofa", "couch"), ("car", "automobile"), ("television", "TV set"), ("fridge", "refrigerator"),
    ("lawn", "grass"), ("dog", "puppy"), ("photos", "pictures"), ("passport", "travel paper"), ("laptop", "computer"),
    ("coat", "winter jacket"), ("glasses", "spectacles"), ("phone", "mobile"), ("salary", "pay"), ("flat", "apartment"),
    ("lamp", "light"), ("carpet", "rug"), ("cupboard", "wardrobe"), ("roof", "top of the house"), ("tap", "faucet"),
    ("essay", "written paper"), ("stove", "cooker"), ("garden", "yard"), ("boat", "vessel"), ("guitar", "instrument"),
    ("medicine", "pills"), ("wallet", "purse"), ("tent", "camp shelter"), ("cellar", "basement"), ("camera", "Nikon"),
    ("curtains", "window blinds"), ("painting", "oil canvas"), ("sneakers", "running shoes"), ("suitcase", "luggage"),
    ("piano", "keyboard"), ("contract", "agreement"), ("recipe", "cooking instructions"), ("watch", "wrist clock"),
    ("novel", "fiction book"), ("dishwasher", "machine for the plates"), ("kitten", "young cat"), ("fence", "railing"),
    ("truck", "lorry"), ("mattress", "bed"), ("printer", "inkjet"), ("trousers", "pants"), ("cake", "dessert"),
    ("invoice", "bill"), ("umbrella", "rain cover"), ("homework", "school exercises"),
)  # fmt: skip
DOINGS = (
    ("repaired the {}", "who fixed"), ("sold the {}", "no longer owns, for money,"), ("lost the {}", "cannot find"),
    ("bought the {}", "purchased"), ("lent the {} to a neighbour", "let people next door borrow"),
    ("insured the {}", "has cover against damage of"), ("cleaned the {}", "washed"), ("stole the {}", "is a thief of"),
    ("painted the {} green", "changed the colour of"), ("inherited the {} from an uncle", "got after a death"),
    ("donated the {} to charity", "gave away for a good cause"), ("forgot the {} on a train", "left behind in a wagon"),
    ("insulted everybody about the {}", "was rude because of"), ("measured the {}", "knows the size of"),
    ("photographed the {}", "has snapshots of"), ("returned the {} to the shop", "brought back to the store"),
    ("hid the {} from the children", "keeps out of reach of the kids"), ("burnt the {}", "set fire to"),
    ("ordered the {} from Japan", "imports from Asia"), ("reviewed the {} for a newspaper", "wrote in the press about"),
)  # fmt: skip
TAILS = (
    "", " last Tuesday", " before the holidays", " in a hurry", " and was glad of it", " after a long discussion",
    " though it rained all day", " with the help of two friends", " and told nobody", " for the second time this year",
)  # fmt: skip


@dataclass(frozen=True)
class Query:
    """What is asked: the three ways, and the place of the memory that is the answer."""

    place: int
    words: str
    typos: str
    meaning: str

    def by(self, way: str) -> str:
        """Asked that way."""
        found: str = getattr(self, way)
        return found


WAYS = ("words", "typos", "meaning")


def facts() -> tuple[list[str], list[tuple[int, int, int]]]:
    """100,000 memories, mixed, and what each is about."""
    chance = random.Random(11)
    about = list(itertools.product(range(len(PEOPLE)), range(len(THINGS)), range(len(DOINGS))))
    chance.shuffle(about)
    return [_text(*one, chance) for one in about], about


def queries(about: list[tuple[int, int, int]], count: int, among: int) -> Iterator[Query]:
    """So many, for answers among the first memories."""
    chance = random.Random(12)
    for place in chance.sample(range(among), count):
        person, thing, doing = about[place]
        name, (own, other), (done, meant) = PEOPLE[person], THINGS[thing], DOINGS[doing]
        words = f"{name} {done.format(own)}"
        typos = " ".join(_mistyped(word, chance) for word in words.split())
        yield Query(place, words, typos, f"{name} {meant} the {other}")


def _text(person: int, thing: int, doing: int, chance: random.Random) -> str:
    return f"{PEOPLE[person]} {DOINGS[doing][0].format(THINGS[thing][0])}{chance.choice(TAILS)}."


def _mistyped(word: str, chance: random.Random) -> str:
    """Two letters within a word exchanged, or one left out."""
    if len(word) < 5:
        return word
    at = chance.randrange(1, len(word) - 2)
    if chance.random() < 0.5:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :]
