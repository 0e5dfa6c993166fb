"""core 0001_init on postgres. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "core_auth_attempts" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "key" VARCHAR(80) NOT NULL UNIQUE,
    "failures" INT NOT NULL,
    "last_at" TIMESTAMPTZ NOT NULL,
    "locked_until" TIMESTAMPTZ
);
CREATE INDEX "idx_core_auth_a_last_at_d812f0" ON "core_auth_attempts" ("last_at");
COMMENT ON TABLE "core_auth_attempts" IS 'Failed attempts under one key: a digest of the name that was typed, or a client''s network.';
CREATE TABLE "core_users" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "username" VARCHAR(64) NOT NULL,
    "username_key" VARCHAR(255) NOT NULL UNIQUE,
    "email" VARCHAR(254),
    "email_key" VARCHAR(512) UNIQUE,
    "name" VARCHAR(128) NOT NULL,
    "avatar_url" VARCHAR(2048),
    "role" VARCHAR(64) NOT NULL,
    "active" BOOL NOT NULL,
    "password_hash" VARCHAR(255),
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL,
    "last_login_at" TIMESTAMPTZ
);
CREATE INDEX "idx_core_users_role_cbf139" ON "core_users" ("role");
COMMENT ON TABLE "core_users" IS 'A person or program with a role. `*_key` columns hold the folded spelling by which names are unique.';
CREATE TABLE "core_api_keys" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "name" VARCHAR(128) NOT NULL,
    "prefix" VARCHAR(16) NOT NULL UNIQUE,
    "key_hash" VARCHAR(64) NOT NULL UNIQUE,
    "scopes" JSONB,
    "created_at" TIMESTAMPTZ NOT NULL,
    "last_used_at" TIMESTAMPTZ,
    "expires_at" TIMESTAMPTZ,
    "revoked_at" TIMESTAMPTZ,
    "user_id" INT NOT NULL REFERENCES "core_users" ("id") ON DELETE CASCADE
);
CREATE INDEX "idx_core_api_ke_user_id_26e139" ON "core_api_keys" ("user_id");
COMMENT ON TABLE "core_api_keys" IS 'A key of the form `mcp_<8 hex>_<secret>`; `prefix` is the part before the secret.';
CREATE TABLE "core_sessions" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(32) NOT NULL UNIQUE,
    "token_hash" VARCHAR(64) NOT NULL UNIQUE,
    "kind" VARCHAR(16) NOT NULL,
    "address" VARCHAR(64) NOT NULL,
    "user_agent" VARCHAR(256) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "last_seen_at" TIMESTAMPTZ NOT NULL,
    "expires_at" TIMESTAMPTZ NOT NULL,
    "revoked_at" TIMESTAMPTZ,
    "revoke_reason" VARCHAR(64),
    "user_id" INT NOT NULL REFERENCES "core_users" ("id") ON DELETE CASCADE
);
CREATE INDEX "idx_core_sessio_last_se_825de0" ON "core_sessions" ("last_seen_at");
CREATE INDEX "idx_core_sessio_expires_c9a0b6" ON "core_sessions" ("expires_at");
CREATE INDEX "idx_core_sessio_user_id_09949c" ON "core_sessions" ("user_id");
COMMENT ON TABLE "core_sessions" IS 'A login. `kind` is \"cookie\" or \"bearer\"; `expires_at` is the absolute end, idling ends it earlier.';
CREATE TABLE "core_audit_events" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "at" TIMESTAMPTZ NOT NULL,
    "actor" VARCHAR(64) NOT NULL,
    "actor_id" INT,
    "method" VARCHAR(16) NOT NULL,
    "action" VARCHAR(64) NOT NULL,
    "target" VARCHAR(255),
    "address" VARCHAR(64) NOT NULL,
    "user_agent" VARCHAR(255) NOT NULL,
    "request_id" VARCHAR(64) NOT NULL,
    "data" JSONB NOT NULL
);
CREATE INDEX "idx_core_audit__at_fbd601" ON "core_audit_events" ("at");
CREATE INDEX "idx_core_audit__actor_i_93d88b" ON "core_audit_events" ("actor_id", "at");
CREATE INDEX "idx_core_audit__action_bf5110" ON "core_audit_events" ("action", "at");
COMMENT ON TABLE "core_audit_events" IS 'One thing that somebody did, or tried.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztXG1v2zgS/iuEvrR7yAatm2SDtCjgpCk2122yaNzdQ+uDTEu0xbNEakkqjrGX/35Dyr"
    "KtF7uSa7uyT59skTMi9cyI5DxD6m/L4YIct0P6gUysC/S3xXBA4E+q/AhZOAyTUn2pcN+f"
    "idk4pPaITKQR7EslsKOgcoB9SaDIJdIRNFSUM63SRiCL+AApj6ABFwHqBU5ovzlHHnl8a7"
    "+RxBFEve29Rr1QkAF97CEqjXCIhUJ9AjrEXMeSx7pZlzvQLmXDrbTQZV3Wkw4PiTSiGPlU"
    "Kt1CSERApYRHA12liGDyCHGBWOT7ummE4XfaEz5mRDyTSNChp6TpdsToXxGxFR8SkBDQ+a"
    "//hmLKXPJIZHIZjuwBJb6bMhB19Q1Mua0moSm7Yeq9EdSI9G2H+1HA5sLhRHmczaQpU7p0"
    "SKBbWBF9eyUibTHd+6mFEyPGPZ2LxF1c0HHJAEe+trvWjjswL7Ns+/auY99fd2zbyvlEor"
    "FgxGmRw5n2J+iqNE8/1F34ufXy5JeT81dnJ+cgYro5K/nlKW56DkysaOC57VhPph4rHEsY"
    "jOeghkWoXnlYFMMaFuIKHc7imqBYX2AD/Gj7hA2VB5evWitQ/KP96erX9qfnr1o/6QY5vO"
    "3xWHA7rWmZKg30HFjzWwHZRH4z0CYFc2znY9POwX3ZOi+BLkgthdfUpfGNx7FKvjvTODj3"
    "fXlWBuCz5fieZeGF+cT2sPSqALyoc3AQn52UgPjsZCnEuioNcTy95gH+5/3dbTHAc40MvC"
    "51FPqvmaNLwDwFsS6DxQpcNRT6zoGUf/mLeD7/2P5XFuqr3+4uDTZcqqEwdzE3uMzgDgsc"
    "jY2NVR77d1CjaECK8U9rZm0wVT1O/uzhuL3CFJ2bj9f3nfbH31P2eNfuXOualimdZEqfZ0"
    "ec2U3QnzedX5G+RF/ubq+zZpvJdb5Yuk84UtxmfGxjdxGTpDgpSpnZx1LZkVzL0FndDZh6"
    "f166vbM0eQwp3G4NO6c1GyvX2cqCPPDRWm9zWrOxcp2tDIOusCtF+gsa3w7315uD9y3g1x"
    "TKYFQY72u08uC+54LQIftAJgbjG+gRZk5RPGpYss/Tm+wXsk+J5ySl8/YFHs8Ip0WHggd3"
    "iU9UHPi076/a764tA28fO6MxFq6dwlnX8BbPlMxk81VBK8iWYIaHBhv9FE9HCTEZKa+tFA"
    "lCZeVZy4XKo29RlyBr41i4JH/5HlOfuChRQhGYTyDOiGYdLxBGLh2SmB3UrJ/uGvzBCo2x"
    "RNpxXMMQYuT4lDD1TCJG1JiLUZ7I3G5TDflYL/JxFFPtFfiFg6QWzl+UoBbOXyylFnRVOs"
    "QdwGsUiSJyYanPLqpsax7dLQe5EefNxJNrhpK7JAx+wJR6ECtPnzs6SIiYon5lI2d0mxij"
    "bpbOLYl/xCLunpjEaX4Bl1R8a/EmY7nSeWefDyk7Rr0ReI3J43bhPnxESdfSy6Su1SdYEN"
    "G1XqPenAuZJYehCXBxRRBhsK6irg8eov9LRBUCTVhjiaJk9K6abdZz9VrPNcnkLSWTFR8R"
    "Vjkfl9Y6OJg3n5HT41WlgGQqf4g5+41nlGGChnG+ICRZju+CygFCvHn/NcwVLDxYQZSyHO"
    "W01gEC3Tot48wgtRRqU9dkkf9PYoVc1C8JzKNrhv4Luk38X2dL1yiL3Fi5ySI3o/Z3W9mG"
    "iVbGrErZtVBOca3lUM0su5NlZ5Ozb3L2Tc4+RfcayHNcb2KIlUSvfp7SLG8IspxpZjUUfC"
    "hwgMZUeQgjwX1yjHr/0GeVeih+/STyuO9ODwr5LnGRDIlvKNb+BI096ngmrS4RFgTFblDE"
    "8e6m0YbhbRjeegC7ZYZXv/BVjwwt6hwgbbOdhYr+b1fceJLVOzh/bp2elmLITlcwZKdZtE"
    "mAizLpy2GeKRzeort1WsaZQWoFwDl3NnhV9eWU0kaArpEfn74sMzCD1FKYTV1zknOXJznx"
    "A6w2hB2JSoNFWusAR4wXJ2Ww1mLLxwxTmUZbL88rMSJT+W158yHljyFOow8F6F5yABGzJY"
    "48U8pA3AetbY0YCeq75REv7+5+S1GIlzedDLqfP15ewwhiQAchGofx+d2YIZZyzCE+r7op"
    "Iqd4gEPHNlZzTb5zHY/fO+Y8Ct01zZzWbMxcazOb1LTZprluXntRuUmG1c3Wtdju3I5cqq"
    "4fCCs8sjarO/rmiTUQtYmWLUmJ3zF9Kkyzy+ZsmOQB6XN3glwaHw8D2xM3T2qXU9OfxsLq"
    "An3uXB0j6AYX+lya9LhQCLyZ+Oh5z6QjulHrReusd4S6FmacTQIeya6lL+VEKhJ0rZ9exz"
    "ewqXthyHGt90wi3Z5G0nxPi3HdCWg2IPCWgaDHx/E2aa2q2fcH4qKxx3XhRBPoplsAxQXq"
    "yaj/H+Ko4wci+tATGTkewhL14h3aA3Pargf3hlBqSOChxvrBaXycztXH7hQ/Mgp6q+MFBV"
    "mkuWHzxIH+0pf+wAbiphGTAOCRmn5DrOz3vr5aMIhA2VcrwcIYeV6WbIyHkobs3yXZX31m"
    "aOb+ms4HmSiVF+STV1AticIBMlpbIQF4xe0Qiypr7Yeo2epp00cv45mvisvONQ7QZ7ewN3"
    "82y1YYE+h37JCqN8CbHxTi9VUVgOcaDUFViqDal/MllrWnPrxfp0t2BPNWXFkQeE6pChcR"
    "q/auLmodHNKbd2gd+OQBXv75zUT+uz6+uR7EbwYRMzMu6kfUV5TJY93s221BvwLqjX2T84"
    "dyVE//A7+vDhE="
)
