"""What runs in worker processes: one module for each engine. They import numpy, the engine, and nothing of Moorage.

Each has a `Model`, made once in a process: `open(body, number)`, then `feed(body, number)` with samples (float32,
little-endian, mono, 24 000 a second) and `finish(body, number)`, which both give {"words": [[word, start, end | null],
…], "pause": seconds | null, "speaking": bool}, the latter "whole" as well: as of `engines.base.Heard`; `close(body, number)` at whatever time, also of a number that is not known.
"""
