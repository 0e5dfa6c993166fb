"""What runs in worker processes: one module for each engine. They import numpy, the engine, and of Moorage only what
imports as little (`audio`, `lines`).

Those that hear have a `Model`, made once in a process: `open(body, number)`, then `feed(body, number)` with samples
(float32, little-endian, mono, 24 000 a second) and `finish(body, number)`, which give {"words": [[word, start,
end | null], …], "pause": seconds | null, "speaking": bool, "whole": as words, or null}: `engines.base.Heard`; and at
whatever time `close(body, number)`, also of a number that is not known. The `Model` of those that speak has
`speak(body, …)`, which gives {"rate"} and 16-bit samples of a text.
"""
