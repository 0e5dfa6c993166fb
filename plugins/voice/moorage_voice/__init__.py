"""Voice: speech as text and text as speech, by engines inside or services elsewhere: the `voice` plugin."""
