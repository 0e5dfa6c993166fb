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
    "eJztXVtv2zYU/iuEX5oArpE612XDgDTN2gxNMjTuWrQpVNqibSEyqZJUXKPrfx8vulqSLa"
    "WyIwl6CWzyHJH6SB+eyyflR2c0hbx3Lv6cE/yAKIPcIrhzCn50MJwh8SFDogs60HH8fvmV"
    "w6EdKBijiDBT0kPGKRxxITGGNkOiyURsRC3HG7FzBqJKPTBF0DQs8xTwKQIYzRHjYIYYgx"
    "MEyFi1DinEo6n4CDmwGGBTMheKDHFu4Qk79cVchugzBsaEAov35GxMMhLTEULbHPgO32GM"
    "vnODoW/64o4NR8E1ZZc/TldMycUcmcB1gIVVv4APM4GgmKMeeE4tjpi+Mre4jYx7tNAXVl"
    "8BlJ1qfgjS0RSZYopTSJExhWx6Cm7fnD3vHx7J8aHuALaF78WEOblHuAuwa9tgbvEpcTkg"
    "GP1+hz39FQhpTLjChImZmchG4kYMyE+92QyRAAl47UBiwwAm4n6mxLYX6rY4wmCBeBdAbI"
    "q+ITEX4ib0zcr1c7H1zUUGJxMkpkDFKn7+IpotMdp3xOTXzx0JvpikEndMqOfQ+SLlnHtj"
    "bCHbjG10LaraDb5wVNsl5n8pQblnhmJX2+4Mh8LOQmCDA2kLq1/CBGFE5XiijVNXbnWJpP"
    "f78He/voVQRM89omOiMXRt+YOR2noCYVvHMK5vBsbtxcAwOokfk68R2eZek9jq8ocopsrU"
    "3U/kFJ73XxwcH5zsHx2cCBE1zaDl+KceOgRGKyp4rgedn6ofcqglFPghqE4aqsKa0HRYnV"
    "RcxYSXcfVRrC6wM/jdsBGe8Kn4ut9fgeK/Z+/O35y929nv78oBiTCT2pJeez191SWBDoGN"
    "7O6cWzaisX7f5sHXbwgBDi17bbbuEqIF92tUp5xN+9SgbnjbMkeceEUQDhQaCO+Loxzwvj"
    "jKhFd2xeFV534ReAOFBsJ7uLeXA18hlQmw6ktBWDpaSZQHwoFbgbKv1AikVwA7uPg4kFee"
    "MfbNjuK5c3X2UUE9W3g9b2+uX/viEfzP3968TIWdEZcWMx/LetsDP/hYU1MyI2YhpH35LS"
    "Lsh551hNcLoQr4bxGNR/lvnvdbFQtStvvmR9YFEI2qbM8lflETQB1KHiwT0ULxW0TnUYag"
    "aps0ZgWODnJYgaODTCsgu5JG1i5qZe1mots/zGNkhVQmvqpvKd7wUnJJjP++vbnOCDkiOk"
    "swm9aIg/+AbbGNmYfOH2MX6yzf0LVsMRPWk8P+uamTbgXoEqPVrtyy1yYhI4xPqLqKusCy"
    "KxemIAvFgTGtUnZ/hfJD5VuWWKK2wJmY0Gt9jeTRqEBS6eQEsK8EKNyaoRXo+orLtsXT7P"
    "kf6ofzqqjw8uridnB29U/Mnrw6G1zInn4sLPRbd5ZNfXAR8OFy8AbIr+DTzfXFstkJ5Aaf"
    "OnJO0OXEwGRuQDOKid/sN8XWOKxbFF3kuOZWVnmblqtJizyiCD5ukeOaJSxynTI8dVvmSP"
    "2v4DLHNdtlrtwyy3Lu+D5Se5QNQzi6n0NqGoke0idZssmuWX+23AIxnKhFkmjKeQb0iIsH"
    "5HsbCeqE19ddQ5pAodhatsQtmSGgFXQB39t3ovtUfKNkrmgHYr8yryY/RxQFxXUoC/oj1A"
    "NjizKVBOkCG7KQm2BRcYuzIaIsSZjY4tiSM6FHkjV93doFcp92gSw6i0W5c/t7/aMvWbyA"
    "z51wdoEr7I2r2QAR1kBLDtgmOSBlYfIFgwnFRtRUlmqvebIh+9nJkP1ELiTc9vm3ckynpQ"
    "2kxIK+5SoAalSlxTQF0/AgzJuzCzW2n7F7Gu+stNxcZTyo14FVT/eiIv3rPKnwgMhNPqUu"
    "1s6MSrFLMid9QPQUfJ26w57+Ig6bnd2vPl9TtwV8R6EvvCGcRi8t89LrmY+FfJjsM7apTL"
    "ySjtVsryZKJi6We03R3NTxUD83suLUxzoD6lG3i2EaV2qrBClVAmXFCxW5Ao0GBjTlc2ie"
    "hKFQbZBrT1GoNrwb4Sg4kMJZoWgn1Gj5CaXEQDGzzSF3U5ZjhdkONDa15Z/OXy7faiNKCR"
    "XoFaOXxrWax34q/1ELjZjnpiWhzmarJxSbgPa2CetuOurZNt3NQLuYSa8P6puy3fRxhd64"
    "ZlvorVyhN2baBISPWeSoXsvLqdgCVyYPfWmimUM4wqNFJzURHRXorslEW0uy6zPRGEDM5k"
    "H6l4GJ9SCr5hOx0mA+FR8tzgBFYs8xDkZEHNS6swfkc/LJh/uVOHE5Uk/TS5mUJPW2Rk2t"
    "0Efyc/IhubYq/5RV+UqmV2udCEx9WjQ71GnSc6LL6ZPDXOmTwxXpk8PlOCcwP0Uwjik1EO"
    "ny84DidHfEiIVimqhOG9Y8PqxB3x1LdD/G441pbiesaZ3eGjq9V166J9XhvQpzQSudXS9n"
    "lJtz4cn3gAMpwly9UmrukR7GxLbJnIEdOVX9pilFRtNMCv0Crt0euEUIfKVoRKjJet48v6"
    "aRMDY6VqpXm1LObzmnT+3dti+k2lC6uRa0l1qHEcVIpi2/dMWrDfwjoACeMZ0N0V3qZ2ij"
    "8QGnC4OMC0AaVWkJRCmQkmIv8/LlGxjPll+GFsNxhFMCquzCaESlERBvuyZaRWZFo/a0OK"
    "OKPTYRKLQ8otKTNi0D4ClQb99a1ThKaKXR3Qgj9IkfjK004OU/F9u+BORRHmKbXi+QXn+f"
    "nVx/nyu1HjgH6/PqH2RWG6p/PgGmkMkPJhBuFgQmXICd94PzXZ3Y9s+9Z8x7MjGRNv+1S6"
    "3jeohrqIWOHL/6pGhT5C0BpEmJHG+jJ4+WdDj938WK86RRlVp5PFTBja/cNmyWH19teDfi"
    "yEcL4jltaVRle8Z0ryaWVP1nKmZYOInoS2uSCWpMrTGo/tbv7+8f9/f2j04OD46PD0/2An"
    "iTXatwfnn5WkId29eZ2BM3JU7KAb6n16KfH/0KhS+IvrVmFu9khDB+d3dtGCM8RVuK5iYJ"
    "ef9Ej8wx0IpdYIn1QNDUr0uRL5nz3psiC2A9oEk8mGjxNC5QGZf8hRexVMDBbnQA4x+hhi"
    "NQS/W9156+UdW2NJ15FmQCnOM8aCbCWz6T2zfbZi5Im7v8hcP/5//cjU/5"
)
