"""memories 0002_search on postgres. Made from the models, the index of words by hand; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE IF NOT EXISTS "memories_pending" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "memory_id" INT NOT NULL UNIQUE
);
COMMENT ON TABLE "memories_pending" IS 'A memory that waits for its vectors. Its number is another one each time that the memory is changed.';
        CREATE TABLE IF NOT EXISTS "memories_vectors" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "user_id" INT NOT NULL,
    "store_id" INT NOT NULL,
    "memory_id" INT NOT NULL,
    "model" VARCHAR(16) NOT NULL,
    "vector" BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS "idx_memories_ve_memory__d702f0" ON "memories_vectors" ("memory_id");
CREATE INDEX IF NOT EXISTS "idx_memories_ve_user_id_3b1c24" ON "memories_vectors" ("user_id", "id");
COMMENT ON TABLE "memories_vectors" IS 'What a memory, or a part of it, means. vector: float16, little-endian, of unit length. See `store.backfill`.';
        CREATE TABLE "memories_search" (
    "id" INT NOT NULL PRIMARY KEY,
    "user_id" INT NOT NULL,
    "length" INT NOT NULL,
    "words" TSVECTOR NOT NULL
);
CREATE INDEX "idx_memories_search_words" ON "memories_search" USING GIN ("words");
CREATE INDEX "idx_memories_search_user" ON "memories_search" ("user_id", "id");"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        DROP TABLE "memories_search";
        DROP TABLE IF EXISTS "memories_pending";
        DROP TABLE IF EXISTS "memories_vectors";"""


MODELS_STATE = (
    "eJztW21z2jgQ/isavrQ3Q5gLyZEM9wlaeslNAp3ivrfjCltgX2zJlUUo0+t/P61k4xdsat"
    "KEI4y/JFjaleTH62dXu/L3hk98xl0Stq7hx3JABV82uuh7g2KfyB/FAk3UwEGQ7oYmgSde"
    "RsckUjrqxJNQcGwJ2T/FXkhkk01Ci7uBcBkFrR5SessWCly7i1wRotevL583EZuiheNaDq"
    "IMiQVDmBPEKEHzkPAnYQuNCUFfOLEYt+NlfmnBnDaz5KQund3/8J/oJ9pnwkEutck3EiIH"
    "3xKEPQ8JB4tE/oXrCcK/IBzehGjKOJrMBRJ4FnYRRp4bCuRC+5zaTYSpjSz5UxB54VI5Et"
    "HDy3HlgtQtzan7dU5MwWZEdnN5Yx8/NmClpmtDv7y3xufP8ke0Li0QCsZJJGFxguUMJhZw"
    "FbXJlhnTD1ajZIplQJSAHzAuMLVIQw6bmesXRoIVBjfm1CWenTE3PYpq14qy7ZKKF0oQHu"
    "nEtJg392kiHCyFw+hK2qVqOTNCCYflyTbB52BvdO55kYnGJqjhTEQ0aikdm0zx3AOrBW29"
    "gKStYZrDkWGOB4ZpNtYsOtZIWWHUZDEKb4NcaqjufgZLOGofn56dnp90Ts+liFrmquXsh5"
    "46AUYrKniGRuOH6scCawn12BNQgyJUnzmYF8MaFOIqF5zHNUZxE7BxQ4Js8vrvAloffzM9"
    "QmfCkZcnnQ04vum9enbRe/X0pPMbTMgkW2k6G0Y9bdUFUCfQpl6Hikabfll/armPAeF7Md"
    "4E0TRXVYQ0rVJjWoCpHF4QjUQWUoN8K8E0pXIQRLABL2PwzlD+Kgy/eukX/ul1753iAn8Z"
    "9VyNhn/F4imCeHY16ucgzzm/qtybUzsI6LMcfFyFg4/LOfh4jYPTMUdVnNM6hwhy+7wKyu"
    "3zcpihL4szhK3rGP89Hg2LMY7lc/jariXQvyr4fYQ4b4AVkNjMI3nKAHBYKGZcjaIGyPNI"
    "Kmpeg37syw1HeXSc0Twkv3jSPuusXCJcbPKG4+ve1dW6S/SJwBAwb2PQaZ3aqH/BqAO5x6"
    "aiMMjbsC1JK92Js6M93b6g/tB7E8uZ0xtT3dwWwXRO6068sW9A33M4LZjAnqmAKnCIpcjm"
    "1WpoC3YqmZxSFtjnske4Pimx24xmnp4j1Vb847BI2ri8HoyN3vXLDFM/7xkD6GlntjBx69"
    "M8lawGQW8vjQsEl+jDaDjIE/pKzvjQgDXhuWAmZQsT22lM4ua4KZs2Cew7PuasZv2Y9+4x"
    "Q2p3epPKQ0LDBFs3C8xtc62HtVmZ7HqX3/bzLZjimXpIgCasM1ewGC2oSpOXVjS0QLNiRY"
    "OBdOWCBuT60MJhyMFhEzEu/9tNtFoAuhQh4mwBNQCPWTfERpOlkpcYhyhkPunKv1AIcLm8"
    "QX8ih5OylNzCuJzRWVGdY0ezFpQicoWH0iz/HmRNDzrhn7bhigCnVXa3V/x9jwHeMyJ7Sa"
    "itb7mUymKRqmQWpOQrl2d1gXOBoYAKBU34f0sswXhELQljYMqAGVQ1lWDLQeCStT7UNqPx"
    "pKDlYCpvvrxo+9CT/gKX1RXLhyKw5XYuIqNTO4l95LAxFOo2MZgWqMpfqu5XORiDKW0UYC"
    "7gyAeOznek4qKAs38kp8DJjCnzbNUrB5YGJojUE86fsYgpIyuni8YXvaP2Hx0YzhVNRUyr"
    "MxtFXLbjFcAZlXjsLnJkxCcfEFAp4USdcnGp1Kp0rEQ9rvz5j/RS1g6d1Hy5S77cg4D6wB"
    "JR6v8anOXZ6Vj+AIuJndMKmenOaWlmGrpy+X/NHNucR0ipHELuf9fHETJcvYVZ5/UOAfuH"
    "tu56910XBfaBR+ps8dYbFANvTLBAd9XNSXz6pcrWRMrqHYHewzaRYGgqLUqG52iyLNpKVN"
    "D4eU4jE80LfW/JLro+pF2H8I86hI8sumqoE4kfYAD/IKcB9yRFtw70YyOFPXOBb1RafZMX"
    "jCSqOsIoT1/NF76FPH3i1RiXF3HCDDJcPsE0bEW5fzmKx7A47jSR5wrhkSMoaGCqvumSFi"
    "KQfgWib7hUurAFaE1dzyv4RGyXk6vkHLOJ19XVV/gAzYUSR4h8bJMW6sU1Wl13jasVKP7Y"
    "oZsqZzwJ7+Lxax9f+/jH7uPrr4XuH9Pasz8EqMD124SjK4VDDEjv/Rug21VMksW371LMl8"
    "UIJzo5iCdLoYOZRwbyBlD70cn8VR5IYtm/HPZevS/OKvcLTvL33xuD3v8dsP74D+dUtq4="
)
