"""Which language a text is in, as far as its letters and its smallest words show it: for who asks to have it found out.

No more than a guess, and none for what is too short: then whoever asked keeps the voice that speaks.
"""

from __future__ import annotations

import re

SEEN = 2000
"""Characters that are looked at."""
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("cmn", re.compile(r"[\u4e00-\u9fff]")),
    ("uk", re.compile(r"[ґєії]", re.IGNORECASE)),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("ka", re.compile(r"[\u10a0-\u10ff]")),
    ("hy", re.compile(r"[\u0530-\u058f]")),
)
"""The first whose letters are a good part of the text: kana before the Chinese characters that Japanese shares."""
_WORDS = {
    "en": "the and of to is are was you that this it for with have not be on what we i",
    "de": "der die das und ist nicht ein eine ich sie wir mit auf für den dem sind was wie auch es",
    "fr": "le la les et est des une un que qui pas vous nous je dans pour sur avec ce il elle",
    "es": "el la los las y es que un una no en por para con como está qué del se lo muy",
    "it": "il lo gli e è che un una non di per con come sono della nel questo questa ci si",
    "nl": "de het een en is niet van ik je dat op te zijn met voor wat we maar ook er",
    "pt": "o os e é que um uma não em por para com como está do da no na você isso",
    "pl": "i w nie na się jest to że z do jak ale co tak od za po czy ja był",
    "sv": "och att det är inte en ett jag som på med för den vi har du var men om av",
}
_SETS = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_WORD = re.compile(r"[^\W\d_]+")
_LEAST_WORDS = 2


def language_of(text: str) -> str | None:
    """A language's tag, as "de"; None: it does not show."""
    text = text[:SEEN]
    letters = sum(character.isalpha() for character in text)
    if not letters:
        return None
    for language, script in _SCRIPTS:
        # Kana and the letters of Ukrainian are few among others.
        if len(script.findall(text)) >= (0.05 if language in ("ja", "uk") else 0.4) * letters:
            return language
    words = _WORD.findall(text.lower())
    counts = {language: sum(word in known for word in words) for language, known in _SETS.items()}
    best, second, *_ = sorted(counts, key=lambda language: -counts[language])
    return best if counts[best] >= _LEAST_WORDS and counts[best] > counts[second] else None
