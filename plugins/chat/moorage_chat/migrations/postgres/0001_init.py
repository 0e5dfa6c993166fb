"""chat 0001_init on postgres. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "chat_conversations" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "user_id" INT NOT NULL,
    "user_pid" VARCHAR(32) NOT NULL,
    "space" VARCHAR(16) NOT NULL,
    "title" VARCHAR(500) NOT NULL,
    "title_key" TEXT NOT NULL,
    "title_source" VARCHAR(16) NOT NULL,
    "mode" VARCHAR(16) NOT NULL,
    "head_id" INT,
    "next_seq" INT NOT NULL,
    "provider" VARCHAR(64),
    "model" VARCHAR(256),
    "settings" JSONB NOT NULL,
    "share_hash" VARCHAR(64) UNIQUE,
    "share_head_id" INT,
    "shared_at" TIMESTAMPTZ,
    "deleted_at" TIMESTAMPTZ,
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "idx_chat_conver_deleted_f43484" ON "chat_conversations" ("deleted_at");
CREATE INDEX "idx_chat_conver_user_id_001a78" ON "chat_conversations" ("user_id", "updated_at");
COMMENT ON TABLE "chat_conversations" IS 'A conversation. head_id: the newest message of the branch that is shown. settings: of the user''s for it.';
CREATE TABLE "chat_events" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "generation_id" VARCHAR(36) NOT NULL,
    "first_seq" INT NOT NULL,
    "last_seq" INT NOT NULL,
    "events" JSONB NOT NULL,
    CONSTRAINT "uid_chat_events_generat_857397" UNIQUE ("generation_id", "first_seq")
);
COMMENT ON TABLE "chat_events" IS 'Some events of a generation: a row for those that were written at once. first_seq, last_seq: their numbers.';
CREATE TABLE "chat_generations" (
    "id" VARCHAR(36) NOT NULL PRIMARY KEY,
    "conversation_id" INT NOT NULL,
    "user_id" INT NOT NULL,
    "message_id" INT,
    "server" VARCHAR(16) NOT NULL,
    "provider" VARCHAR(64) NOT NULL,
    "model" VARCHAR(256) NOT NULL,
    "params" JSONB NOT NULL,
    "status" VARCHAR(16) NOT NULL,
    "error_code" VARCHAR(32),
    "error_message" TEXT,
    "usage" JSONB,
    "started_at" TIMESTAMPTZ NOT NULL,
    "ended_at" TIMESTAMPTZ
);
CREATE INDEX "idx_chat_genera_convers_13d720" ON "chat_generations" ("conversation_id");
CREATE INDEX "idx_chat_genera_user_id_db7afa" ON "chat_generations" ("user_id");
CREATE INDEX "idx_chat_genera_status_2ce6a8" ON "chat_generations" ("status");
CREATE INDEX "idx_chat_genera_ended_a_d6e8d5" ON "chat_generations" ("ended_at");
COMMENT ON TABLE "chat_generations" IS 'A run of a model. server: `hub.server_id()` of the server that it runs on.';
CREATE TABLE "chat_idempotency" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "user_id" INT NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    "body_hash" VARCHAR(64) NOT NULL,
    "status" INT,
    "response" JSONB,
    "expires_at" TIMESTAMPTZ NOT NULL,
    CONSTRAINT "uid_chat_idempo_user_id_c20491" UNIQUE ("user_id", "key")
);
CREATE INDEX "idx_chat_idempo_expires_954a9a" ON "chat_idempotency" ("expires_at");
COMMENT ON TABLE "chat_idempotency" IS 'An answer that is given again when its request comes again. body_hash: SHA-256 of its route and body.';
CREATE TABLE "chat_messages" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "conversation_id" INT NOT NULL,
    "seq" INT NOT NULL,
    "parent_id" INT,
    "retry_of" INT,
    "role" VARCHAR(16) NOT NULL,
    "content" TEXT NOT NULL,
    "status" VARCHAR(16) NOT NULL,
    "parts" JSONB NOT NULL,
    "usage" JSONB,
    "provider" VARCHAR(64),
    "model" VARCHAR(256),
    "generation_id" VARCHAR(36),
    "created_at" TIMESTAMPTZ NOT NULL,
    CONSTRAINT "uid_chat_messag_convers_190f77" UNIQUE ("conversation_id", "seq")
);
CREATE INDEX "idx_chat_messag_parent__18939f" ON "chat_messages" ("parent_id");
COMMENT ON TABLE "chat_messages" IS 'A message. parent_id: what it follows (null: the first of a branch). See `records.Message`.';
CREATE TABLE "chat_usage" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "user_id" INT NOT NULL,
    "day" DATE NOT NULL,
    "provider" VARCHAR(64) NOT NULL,
    "model" VARCHAR(256) NOT NULL,
    "messages" INT NOT NULL,
    "tokens_in" BIGINT NOT NULL,
    "tokens_out" BIGINT NOT NULL,
    CONSTRAINT "uid_chat_usage_user_id_581949" UNIQUE ("user_id", "day", "provider", "model")
);
CREATE INDEX "idx_chat_usage_day_b7a00d" ON "chat_usage" ("day");
COMMENT ON TABLE "chat_usage" IS 'What a user has used on a day (UTC) of a provider''s model.';
CREATE TABLE "chat_user_limits" (
    "user_id" INT NOT NULL PRIMARY KEY,
    "messages_per_day" INT,
    "tokens_per_day" BIGINT,
    "updated_at" TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE "chat_user_limits" IS 'A user''s own limits, instead of those of the role. null: no limit.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztXW1v27YW/iuEvywFPCN13npzhwFplrUZmmRY3G1YW6i0RdtCZFIlqbjGbv/7PST1ak"
    "m2lNqOLOhLYJPniNRD+vC8PFL+7YymWPYu4c8lo4+ECywdRjvn6N8OxTMCHwokuqiDPS/s"
    "V18lHrqRgjVKCAstPRSS45EEiTF2BYEmm4gRd7xgxM4FSir10JRg23LscySnBFEyJ0KiGR"
    "ECTwhiY9065JiOpvARS+QIJKZsDoqCSOnQiTgPxXxB+A8CjRlHjuyp2dhsBNMBoV0O/JF+"
    "pJR8lZYgX8zFPRePomuqrnCcLkzJp5LYyPeQQ3U/wEcFIAhzNAPPuSOJMFeWjnSJ9UAW5s"
    "L6K8KqU8+PYD6aEhumOMWcWFMspufo/u3Fj/2TUzU+Nh3IdegDTFiyB0K7iPqui+aOnDJf"
    "IkbJfz/SQH8FQgYTqTERMDObuARuxMLyPJjNkABIKGhHChuBKIP7mTLXXejbkoSiBZFdhK"
    "kNfUNmL+AmzM2q9fOp88UnlmQTAlPgsIofPkGzA6N9JUJ9/dBR4MMktbhnYzOHzicl5z1Y"
    "Y4e4dmqjG1HdbsmFp9uuqfxVC6o9M4Rd7fozGgt7C8CGRtIO1b+ECaGEq/GgTXJfbXWFZP"
    "D7CHe/uYVYxMw9oWOTMfZd9YNR2mYCcVvHsm7vBtb91cCyOpkfU6iR2OZBE2x19UOEqQp9"
    "9xM1hR/7L4/Pjl8dnR6/AhE9zajl7JsZOgbGKGp4bgedb7ofS2wkNPgxqF4eqmBNeD6sXi"
    "6uMOFlXEMU6wvsDH+1XEIncgpfj/orUPzz4o/Ltxd/HBz1X6gBGZhJY0lvg56+7lJAx8Am"
    "dnfJLZvQWL9vy+AbNsQAx5Z9b7buEqIV92tSZzOb9rlB3fK2FR6ceFUQjhQaCO/L0xLwvj"
    "wthFd1peHV534VeCOFBsJ7cnhYAl+QKgRY9+UgrBytLMoDcOBWoBwqNQLpFcAOrv4eqCvP"
    "hPjiJvE8uLn4W0M9WwQ97+5u34TiCfwv3929zoVdMJ9XMx/LersDP/q4p6ZkxuxKSIfyO0"
    "Q4DD33Ed4ghKrgvyU0nuS/Bd5vXSzIpt23MLKugGhSZXcu8cs9AdTj7NGxCa8UvyV0nmQI"
    "6rZJU1bg9LiEFTg9LrQCqitrZN2qVtZtJrr9kzJGFqQK8dV9S/FGkJLLYvzb/d1tQciR0F"
    "mC2XZGEv0PuY7Ymnno/DT2qcnyDX3HhZmInhr2522ddCtAVxitduWWvTYFGRNywvVV9AWW"
    "Xbk4BVkpDkxpbWT31yg/tHnLkkrUVjgTM3qtr5E9GjVIOp2cAfYXAEU6M7IC3VBx2bYEmr"
    "3ww/7hvCoqvL65uh9c3Pyesie/XAyuVE8/FRaGrQfLpj66CPrrevAWqa/on7vbq2WzE8kN"
    "/umoOWFfMouyuYXtJCZhc9iUWuO4blF1kdOaO1nlXVquJi3yiBP8tEVOa25gkfcpw7Nvy5"
    "yo/1Vc5rRmu8y1W2ZVzh0/JGqPqmGIRw9zzG0r08P6rEg22zXrz5ZbMMUTvUgKTTXPiB5x"
    "9UhCbyNDnQj6umtIEyQWW8uWuGczgoyCKeAH+w66z+EbZ3NNO4D9KoKa/JxwEhXXsSroj0"
    "gPjR0udBKki1wsYm6Cw+EWZ0PCRZYwscOxFWfCjKRq+qa1i9Q+7SJVdIZF+ej3D/unn4p4"
    "AR868ewiVzgY17ABEqyBlhywS3JAzsKUCwYzio2oqSzVXstkQ46KkyFHmVxIvO3Lb+WUTk"
    "sbyIkFQ8tVAdSkSotpDqbxQVg2Zxdr7D5j9zze2cZyc7XxoN5EVj3fi0r0r/Ok4gOiNPmU"
    "+9Q4MzrFrsic/JHwc/R56g975gscNgcvPod8TdMW8R1BH7whmkcv3eSl1zMfK/kwxWdsU5"
    "l4GzpWi72aJJm4Wu41R3Nbx8P+uZE1pz7uM6ABdbsapmmltkqQUyXQVrxSkSvSaGBAs3kO"
    "zbMwFOoN8t5TFOoN71Y4Ch7meFYp2ok1Wn7CRmKglNmWWPo5y7HCbEca29ryz+cvb95qE8"
    "4ZB/Sq0UvTWs1jP23+UQuDWOCmZaEuZqtnFJuA9q4J634+6sU23S9Au5pJ3x/Ut2W7+dMK"
    "vWnNttBbu0JvyrQBhE9Z5KRey8up2QLXJg99bZOZxySho0UnNxGdFOiuyUQ7S7LrM9EUYS"
    "rmUfpXoInzqKrmE1hpNJ/CR0cKxAnsOSHRiMFBbTp7SD0nn324X4szXxL9NL2SyUlS72rU"
    "3Ap9Ij+nHpJrq/LPWZWvZXp1rxOBuU+LFoc6TXpOdDl9clIqfXKyIn1yshznROanCsYppQ"
    "YivYUHCgrSIsVPEhRlRdriALSAs+TBCJVCxKROGyU+PUokXz0Hup8SQKQ0dxMltjHEHsYQ"
    "N0H2LDd+uIlTaytjhyAFV5rCEsj3kIc5oVK/oWsecEjGzHXZXKADNVXz4i7N7TPEFPM+sx"
    "c9dE8I+szJiHFb9IJ5fs7jtGx1rNwgIYcd0VJ4nztYaN/vtaXs/V6wiPbaA6vG2W3puive"
    "FBEeARXwTOlsKUDYP0ObjA8kX1hsXAHSpEobcuVAyqq9Gy2Ub2B6YPNVfRhOEpoTUBXXmR"
    "MqjYB41yXmOhJVGrWn4Yyq9hRKpNDSsjaetGkJFc+BevsSsMYxbGuN7lYIts/8nHGtAd/8"
    "Y8btO1We5CG26fUK6fX3xcn196VS65FzsD6v/pfKamP9vzzQFAv1wUbgZmFk4wU6eD+4fG"
    "ES2+G594MIHvTMpM2/71LrqDNwDb3QiePXnBRtirzl0zQpkRNs9OzRkg9n+LtYcZ40qlKr"
    "joc6uPG124bN8uPrDe9WHPlkQbykLU2q7M6YHu6JJdX/6EtYDs0i+tqZFIKaUmsMqv/p94"
    "+OzvqHR6evTo7Pzk5eHUbwZrtW4fz6+o2COrWvC7Fnfk6cVAL8QK9Fvzz6NQpfCH/nzBzZ"
    "KQhhwu7u2jAGPEVXiZYmCQX/k5DNKTKKXeTAehBsm7fPqHf2Ba+hUQWwHjIkHsqMeB4XaB"
    "OX/I732tTAwW50ABMeoZYHqOX63mtP36RqW5ouPAsKAS5xHjQT4R2fye2LggsXpM1dfsfh"
    "/+3/GuC5MA=="
)
