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
    "title_source" VARCHAR(16) NOT NULL,
    "mode" VARCHAR(16) NOT NULL,
    "head_id" INT,
    "next_seq" INT NOT NULL,
    "provider" VARCHAR(64),
    "model" VARCHAR(256),
    "settings" JSONB NOT NULL,
    "share_hash" VARCHAR(64) UNIQUE,
    "shared_at" TIMESTAMPTZ,
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "idx_chat_conver_user_id_cc5749" ON "chat_conversations" ("user_id", "space", "updated_at");
COMMENT ON TABLE "chat_conversations" IS 'A conversation. head_id: the newest message of the branch that is shown. settings: of the user''s for it.';
CREATE TABLE "chat_events" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "generation_id" VARCHAR(36) NOT NULL,
    "first_seq" INT NOT NULL,
    "last_seq" INT NOT NULL,
    "events" JSONB NOT NULL,
    CONSTRAINT "uid_chat_events_generat_857397" UNIQUE ("generation_id", "first_seq")
);
COMMENT ON TABLE "chat_events" IS 'Some events of a generation, one after the other: a row for what was written at once. first_seq, last_seq: their numbers.';
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
COMMENT ON TABLE "chat_idempotency" IS 'An answer that is given again when its request comes again. body_hash: SHA-256 of the request''s route and body.';
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
    "eJztXe1P2zgY/1esfhlIvQpaChw6nQSM2zgNOI3uNu1FwW3cNiK1M9uhVLv972c7703SJi"
    "xtkyhfUGs/T+z8/PC8J/3RGk0h71yKP5cEPyHKIDcIbp2BHy0MZ0h8SKFogxa0LG9efuVw"
    "aPoM2ihEzBT1kHEKR1xQjKHJkBjSERtRw3JXbJ2DMFMHTBHUNUM/A3yKAEZzxDiYIcbgBA"
    "EyVqNDCvFoKj5CDgwG2JTMBSNDnBt4ws48Mpsh+oqBMaHA4B25G52MxHYE0TYX/oq/Yoye"
    "ucbQd+filglH/jXllLdOW2zJxhzpwLaAgdW8gA8zgaDYo7PwnBocMefKbAop0qaQTc/A/d"
    "vz37r9Y3ldCNQEMA38KDbCySPCbYBt0wRzg0+JzQHBSEFiY+O7jTROJkisRgUwX76JYQPr"
    "6Bkx+fVLS96PQEaSM0tsXfFZOhQb1YQUfJMM1qM2NpCpR4TI4VHjGl9Yauwa878UoTyPoZ"
    "AY057hgNhaiP1hn9rASsomCCMq1xNjnNpSjOTduLLnSZZzLwGJcxMhHh2NoW1KYZTczgaC"
    "sZam3d4NtPurgaa1YoLqcYREyB0SYiSFXGyVqbufyC381j08Ojk67R0fnQoStU1/5OSns3"
    "QAjMOo4LkdtH6qecihQ6FOIQDVSkJV/KfSZFitRFzFhpdx9VAsL7Az+KyZCE/4VHztdVeg"
    "+O/5+8u35+/3et19uSARKsjRUrfuTFdNSaADYENinlFkQxzr5TYLvt5AAHCgNSsjukuI5p"
    "TXME8xQrtrUDcstr5Kzoqwz1BDeA+PM8B7eJwKr5yKwssNbuaC12eoIbz9g4MM+AqqVIDV"
    "XALCGiM2zSfHy3zbw9v/WFGZnhE9F9Ie/RYR9uKLKsLrRhI5HIkQx4scCdcNK43SKNiP8M"
    "KnHIiGWbbnmx1WBFCLkidDRzRXIBHieZEiKJuQRrTA8VEGLXB8lKoF5FRcyZp5taxZT3S7"
    "/SxKVlCl4qvmlhxfN+8Sx/jv+7vbFN83xLMEs26MOPgPmAbbmHpo/TG2sZPKGdqGKXbCOn"
    "LZPzdl6VaALjGSV54x9t0MY713c/5p+Rgu391dKMgI4xOqrqIucLF8JH4+KldAEuEqRPpL"
    "lKgoXrMovFTqLQbyawERN2ZoBdAe47L4u5wd70P1dM4KnAfXN1f3g/ObfyIi//p8cCVnum"
    "p0sTS6t6yN/IuAj9eDt0B+BZ/vbq+W/zN8usHnltwTtDnRMJlrUA9j4g17Q5EzHlHk5Vdz"
    "HnKUs4BTLltIWqdjDqXRcx5zlLM55tIds6yKjB9DKXw5MISjxzmkuhabIV2SRhufmnVnyy"
    "MQw4k6JImm3Kdfwbt6Qp5hilX33Ln2mroeCsjWFvTuyQwBh8GpRblyJ6bbsuwE4Jgjqmpb"
    "RJaczgQJJXNVLpurAhdkqsjFEQZQVqpGqAPGBmUqoGsDE7KgmGZQccOzIaIsXuHb2U5kyc"
    "9ZV9bPnNE2kDLcBrKuIw7sq9096B5/S6vBfWkFe/VTCe66TsEtVKFr6m/brL8lHEw2NzfG"
    "WMMEcS9LnNdLD/N6sSgvEPvsohzhaSpzCQkgT3PlADXM0mCagGlgJLNmIwKO7eciduO5FZ"
    "Z1KI139cbX6skeVmh+nZcVGIjMvVPUxo5ro5KHsheJPklH5mFqDzvOF2Fs9vYfvHYjZ8xt"
    "YeKSX/hGOKk7qshLr+8yyuXDpNvYuja7FGRW072acC9cvtpVAuemzEP13MiSdxdVGVC3Zz"
    "IfplGmptYah9XR4rnS9z5HDQOa4rsDdlJ7LTfIlS++lhvejVRfLUjhLFe0E3A0ldfiK68c"
    "cjvhOFaobZ9jUyK/O3+5eK2NKCVUoJevcS7KVb++juK7mR3EXDctDvUAPad4djHGOqC9qg"
    "Z29WmwWov4JbB3d7dvPPJl1bIcpCSinq7T7RS086n06qC+Kd1NX1YEjnI2ReDSFYEjqk1A"
    "+JJDDvNtpWlnm3a76gdcmjz0tY5mFuEIjxatxER0mKC9JhNtLNGuz0RjADGb++lfBibGk6"
    "yaT8RJg/lUfDQ4AxQJmWMcjIgw1M5kBwyJvog/wyozyi75K8FIbI7EErqiTkhXb3/9xKp9"
    "KGf3iBZNpX6nlfpSplwrnRyUMh1DMz38cclrmVLpZ0qp9FekVPrLsY+viPJgHGGqIdIbaJ"
    "9OSZWkaoXUTElTMBAjwoGyxAq5wsYwTxM5vjxyRM+WIaZfElREOLcTOTZxRQXjihs3o5YY"
    "U9wE6baV8YSblsvc1uLSd4AFKcJcvZZn7vaVjIlpkjkDe3Krzgt1VL+f06zivKJnvwPuEQ"
    "IPFI0I1VnH3edDUp/LRtdKDBISOiaatt5dBwvNa3U2lNGvRGdRpT2wfH28TQvviufiPROQ"
    "A88Iz4YChOop2nB8wOlCI+MckIZZmpArAVKS75VEHn0N0wPFV/rFchzhhIAqvfYcYqkFxN"
    "suO5exeaVWMi1sVL4nU3yGplWr8KRN02SxC9SbVx7Vruu21OhupOl2x88elxrw4h89bt7B"
    "8iIPsUmv50ivf0hPrn/IlFr3nYP1efWPMqsN1evpwRQy+UEHws2CQIcLsPdhcLnvJLY9u/"
    "eKuQ9/xtLmv3apda0z4hrqoEPm17EUTYq86aepUyLHFfS4aUmG0/u/WGFPalWpleahDG58"
    "6cSwXn58ueHdiCMfLohn1KVhlu0p04OKaFL1GzdMM3Ac0QtjkgpqhK02qP7e7fZ6J92D3v"
    "Fp/+jkpH964MMbn1qF88X1Gwl1RK5TsSd2QpyUAXyXr0E/O/olCl8QfWfMDN5KCWG86fba"
    "MEZ4iqYkzdwk5P7MFplj4DC2gSHOA0Hd6d8nzP+RLVkA6wCniQcThzypF6iIS/7Cu25K4G"
    "DXOoDxTKhmCdQSfe+11jfM2pSmU21BKsAZ7EE9Ed6yTW5eLJx6IE3u8heM/8//AXkeDds="
)
