"""memories 0002_search on sqlite. Made from the models, the index of words by hand; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE IF NOT EXISTS "memories_pending" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "memory_id" INT NOT NULL UNIQUE
) /* A memory that waits for its vectors. Its number is another one each time that the memory is changed. */;
        CREATE TABLE IF NOT EXISTS "memories_vectors" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "user_id" INT NOT NULL,
    "store_id" INT NOT NULL,
    "memory_id" INT NOT NULL,
    "model" VARCHAR(16) NOT NULL,
    "vector" BLOB NOT NULL
) /* What a memory, or a part of it, means. vector: float16, little-endian, of unit length. See `store.backfill`. */;
CREATE INDEX IF NOT EXISTS "idx_memories_ve_memory__d702f0" ON "memories_vectors" ("memory_id");
CREATE INDEX IF NOT EXISTS "idx_memories_ve_user_id_3b1c24" ON "memories_vectors" ("user_id", "id");
        -- Words come cut already: by "ascii", all but ASCII's letters and digits stays as it is, and space parts them.
        CREATE VIRTUAL TABLE "memories_search" USING fts5("owner", "words", tokenize = 'ascii');"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        DROP TABLE "memories_search";
        DROP TABLE IF EXISTS "memories_pending";
        DROP TABLE IF EXISTS "memories_vectors";"""


MODELS_STATE = (
    "eJztW21z2jgQ/isavrQ3Q5kLyZEM9wkSes1NQjrFfU07rrAF9sWWXFmEMr3+99NKNn7Bpi"
    "YvHGH8JcHSriQ/Xj+72pV/NHziM+6SsHUJPxYDKvii0UU/GhT7RP4oFmiiBg6CdDc0CTz2"
    "MjomkdJRJx6HgmNLyP4J9kIim2wSWtwNhMsoaPWQ0lu0UODaXeSKEL19e37WRGyC5o5rOY"
    "gyJOYMYU4QowTNQsKfhS00IgR95cRi3I6X+bUFc9rMkpO6dPrww3+mn2mfCQe51CbfSYgc"
    "fEsQ9jwkHCwS+ZeuJwj/inB4E6IJ42g8E0jgadhFGHluKJAL7TNqNxGmNrLkT0HkhUvlSE"
    "QPL8eVC1K3NKPutxkxBZsS2c3ljV1fN+QNqT65YFP+/PJFXkTr0gKhYJyYWsriBMsZTCzg"
    "KmqTLVOmH6xGyRSLgCgBP2BcYGqRhhz2ejnJ/UaCFQY35sQlnp0xNz2KateKsu2cipdKEB"
    "7p2LSYN/NpIhwshMPoUtqlajlTQgmH5ck2wWdgb3TmeZGJxiao4UxENGopHZtM8MwDqwVt"
    "vYCkrWGawyvDHA0M02ysWHSskbLCqMliFN4GudRQ3f0UlvCifXB0fHRy2Dk6kSJqmcuW45"
    "966gQYrajgGRqNn6ofC6wl1GNPQA2KUD11MC+GNSjEVS44j2uM4jpg44YE2eT13wa0Pv5u"
    "eoROhSMvDztrcHzXe3P6qvfm+WHnN5iQSbbSdDaMetqqC6BOoE29DhWNNqXxa8t9Cgg/iP"
    "EmiKa5qiKkaZUa0wJM5fCCaCSykBrkewmmKZW9III1eBmDD4byV2H4zUu/8M8vex8UF/iL"
    "qOfiavhXLJ4iiNOLq34O8pzzq8q9ObW9gD7LwQdVOPignIMPVjg4HXNUxTmts48gt0+qoN"
    "w+KYcZ+rI4Q9i6ivHfo6thMcaxfA5f27UE+lcFv08Q5zWwAhLreSRPGQAOC8WUq1HUAHke"
    "SUXNK9CPfLnhKI+OM5r75BcP28edpUuEi3XecHTZu7hYdYk+ERgC5k0MOq1TG/U9jDqQe2"
    "wqCoO8NduStNKdODva0+0K6o+9N7GcGb0x1c1tEEzntO7EG7sG9AOH04IJ7JkKqAKHWIps"
    "Xq2GtmCnkskpZYE9kz3C9UmJ3WY08/QcqbbiH/tF0sb55WBk9C5fZ5j6rGcMoKed2cLErc"
    "/zVLIcBL0/N14huESfroaDPKEv5YxPDVgTnglmUjY3sZ3GJG6Om7Jpk8C+42POataPeece"
    "M6R2JzepPCQ0jLF1M8fcNld6WJuVya52+W0/34IpnqqHBGjCOnMFi6s5VWny0oqGFmhWrG"
    "gwkK5c0IBcH5o7DDk4bCLG5X+7iZYLQOciRJzNoQbgMeuG2Gi8UPIS4xCFzCdd+RcKAS6X"
    "N+iP5XBSlpJbGJczOi2qc2xp1oJSRK7wUJrl34Gs6V4n/NM2XBHgtMr29oq/7zDAO0Zkrw"
    "m19S2XUlksUpXMgpR85fKsLnDOMRRQoaAJ/2+JJRiPqCVhDEwZMIOqphJsOQhcstaH2mY0"
    "nhS0HEzlzZcXbR970ntwWV2xfCwCW2zmIjI6tZPYRQ4bQaFuHYNpgar8pep+lYMxmNJGAe"
    "YCjnzg6HxHKi4KOPtHcgqczJgwz1a9cmBpYIJIPeH8GYuYMrJyumj0qvei/UcHhnNFUxHT"
    "8sxGEZdteQVwRiUeu4scGfHJBwRUSjhRp1xcKrXKj5WkYi71uPLnP9JLWTl0UvPlNvlyBw"
    "LqPUtEqf8rcJZnp2P5PSwmdo4qZKY7R6WZaejK5f81c2xyHiGlsg+5/20fR8hw9QZmndfb"
    "B+wf27rr3XddFNgFHqmzxRtvUAy8NsEC3VU3J/HplypbEymrdwR6D9tEgqGJtCgZnqPxom"
    "grUUHj1zmNTDQv9L0lu+j6kHYdwj/pED6y6KqhTiS+hwH8o5wG3JEU3SrQT40UdswFvlNp"
    "9XVeMJKo6gijPH01X/ge8vSJV2NcXsQJM8hw+QTTsBXl/uUoHsPioNNEniuER15AQQNT9U"
    "2XtBCB9CsQfcOl0oUtQGviel7BJ2LbnFwl55hNvK6uvsIHaC6UOELkY5u0UC+u0eq6a1yt"
    "QPHHDt1UOeNZeBePX/v42sc/dR9ffy308JjWnv0xQAWu3yQcXSrsY0D64N8A3S5jkiy+fZ"
    "divihGONHJQTxeCB3MPDGQ14Daj07mL/NAEsv++bD35mNxVrlfcJK//9EY9P7vgPXnf+LG"
    "tq4="
)
