"""What is kept from engines that they cannot bear: without a server."""

from __future__ import annotations

import struct
import time
from math import inf, nan

import espeakng_loader
import numpy as np
import pytest
from moorage_voice.engines.models import espeak, moonshine
from moorage_voice.protocols.earsmessages import sound


def floats(*samples: float) -> bytes:
    return struct.pack(f"<{len(samples)}f", *samples)


def test_voices_without_a_dictionary_are_left_out(tmp_path):
    """Spoken by, some of these crash the library: it reads what another voice has left, or nothing."""
    (tmp_path / "lang/gmq").mkdir(parents=True)
    for name, text in (
        ("fo", "name Faroese\nlanguage fo\n"),
        ("nb", "language nb\n dictionary no\n"),
        ("odd", "name Odd\n"),
    ):
        (tmp_path / "lang/gmq" / name).write_text(text)
    (tmp_path / "no_dict").touch()
    found = {name: espeak.speakable(tmp_path, f"gmq/{name}") for name in ("fo", "nb", "odd", "elsewhere")}
    assert found == {"fo": False, "nb": True, "odd": True, "elsewhere": True}


def test_the_voices_of_the_package_have_their_words(capfd):
    model = espeak.Model({})
    offered = {identifier for identifier, _, _ in model.voices(b"")}
    assert {"gmw/en-US", "gmq/nb", "sit/cmn"} <= offered
    for identifier in offered:
        assert model._library.espeak_SetVoiceByName(identifier.encode()) == 0
    assert espeakng_loader.get_data_path() not in capfd.readouterr().err


def test_what_nobody_can_hear_is_silence_to_moonshine():
    given = moonshine.audible(floats(1e-40, -1e-38, 1e-7, 0.001, -0.001, 1.0))
    assert given.tolist() == pytest.approx([0, 0, 0, 0.001, -0.001, 1.0])
    assert given.dtype == np.float32


@pytest.mark.parametrize(("bad", "mended"), [(nan, 0.0), (inf, 1.0), (-inf, -1.0), (1e30, 1.0), (-1.5, -1.0)])
def test_samples_beyond_bounds_are_mended_in_passing(bad, mended):
    assert sound(floats(0.5, -0.5, bad) + b"\1") == floats(0.5, -0.5, mended)
    second = floats(*[bad] * 24_000)
    began = time.process_time()
    for _ in range(40):
        sound(second)
    # The loop stands still meanwhile: somebody who is too loud must not slow down everybody else.
    assert time.process_time() - began < 0.3
