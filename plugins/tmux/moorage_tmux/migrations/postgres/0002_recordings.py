"""tmux 0002_recordings on postgres. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE IF NOT EXISTS "tmux_recordings" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "session_key" VARCHAR(96) NOT NULL,
    "session_name" TEXT NOT NULL,
    "started_by" INT,
    "started_by_pid" VARCHAR(64),
    "started_by_name" TEXT,
    "started_at" TIMESTAMPTZ NOT NULL,
    "ended_at" TIMESTAMPTZ,
    "end_reason" VARCHAR(32),
    "cols" INT NOT NULL,
    "rows" INT NOT NULL,
    "duration" DOUBLE PRECISION NOT NULL,
    "size" BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS "idx_tmux_record_session_49d041" ON "tmux_recordings" ("session_key");
CREATE INDEX IF NOT EXISTS "idx_tmux_record_started_78dd9a" ON "tmux_recordings" ("started_at");
COMMENT ON TABLE "tmux_recordings" IS 'What is known of a recording; its events are in a file of the plugin''s folder, named after `pid`.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        DROP TABLE IF EXISTS "tmux_recordings";"""


MODELS_STATE = (
    "eJztmO9v2jgYx/8VizfXk3qoFxi0vVeUsg2phYnmbtNup9QQJ1gEO4udA27q/35+TEJ+0p"
    "UKGEy8QeT5YTsfP3nydb5V5DScV0310/YwnVau0bcKw1Oi/uRd56iCfT92wKXEQ28VaY0g"
    "SuiwoZABHknlcrAniDLZRIwC6kvKGSS0kI5GcowlGnPPFlX0KIgQym9NyOIRwSIE4owgjz"
    "oEcUf/h4lQFHeOZiqb/EsCRKXQCVWY3eYjNT1l7q4nChn9GhJLcpfIMQnUdH//o8yU2WRO"
    "RHzpTyyHEs/OoKU2DKDtllz42tZl8q0OhHsYWiPuhVOWBPsLOVZrjqMpk2B1CSOBWhwML4"
    "MQULPQ86KNiekvV5qELJeYyrGJg0MPNgyylwtIbBXL6vVN66FjWlalsJlxRgp7ZBpxBoWg"
    "lir03buwhN+M3+vN+mWtUb9UIXqZK0vzaTl1AmaZqPH0zMqT9mOJlxGacQI1ta1Fuu0xDs"
    "rx5tJynNUN5DnHVA8X9BTPLY8wV47V5VXjGap/tQbt963B2VXjV5iQq8d2+Uj3Io+hXQC+"
    "CFpfF0ibZL6mkPN520EdGxLWSdPZA+xn4JqdTyaMPBXiq5eGenbf+qR5TxeR567fexeHpz"
    "ahfde/ycEPBQmsjfpHKuP7TeQIiG+njyRE9RuC2BaWRai3CotU3nKy2cwcXDtKrcZ/jhD1"
    "c8Xdve88mK37D5kKv22ZHfAYmeqOrWf5LrMaBH3smu8RXKLP/V5H4+RCuoGeMYkzP1dgTT"
    "iU3GJ8ZmE7zSQ2x6bMNpO5T9Vwr9jmbOZpmw9um0FnOZOUKADDEI8mMxzYVsHDDb4utuia"
    "GtO8BTPs6k0CmrDOlVIekBEP7CXqEiGduL8npoM48oWC+iPoWyrQRGFhIGIxWg3xh5atSr"
    "+q3UY4IIgy5Xaop9Wukq7I90KXsl8EcpRCJsG51rg2wo5UmvfRp/ZjUVnvfMYv7IsqUhyo"
    "p8gaLq7VAPAiUynUPkc9EOmzMWF6NO7D08bBKYiUgA0NiYuZWkcVEfVQQY++jrNgHVQil2"
    "vhf9LyB6jl/TKq6zW8X8r1+LV7zXiBdq8Za7U7uMq1+yEckopvvdMp6XRK2sopKXlxbNCc"
    "s0mvOitFBXwo2Ld9VEoIWRt26GLmq+r60Phmekij/oIe0qiv7SHgWst74zZSTP0ZiP+oRr"
    "L5qTGbuZ9T4z7fn8d+aMx8G4iOCBt/GUjlbWGHj+hZO8IdVodqLBSBDd5a2ayfoX/u+nyh"
    "2IkNJFccfvowXaK2Aj7bhGUcfmJZwtIO1c3Tsqf/rcfxGqLppBxVB7J2xfWierH/ln7b//"
    "PmroM+DDrt7kO338v2cO0EkzJQqREMOq27vFqi/5WI1Bvqrj9zRRn7K9pdoY0q9sowarWm"
    "cVFrXL6pN5tvLi9WpVt0PVfDN913UMaZzrus6x/6ufvpf8O67is="
)
