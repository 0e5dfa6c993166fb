"""opencode 0001_init on sqlite. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "opencode_sessions" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "pid" VARCHAR(36) NOT NULL UNIQUE,
    "server" VARCHAR(16) NOT NULL,
    "user_id" INT NOT NULL,
    "name" VARCHAR(255) NOT NULL,
    "workspace_path" TEXT NOT NULL,
    "agent" VARCHAR(255),
    "runtime" VARCHAR(64) NOT NULL,
    "workload" VARCHAR(63) NOT NULL UNIQUE,
    "image" VARCHAR(512),
    "image_digest" VARCHAR(512),
    "unit" VARCHAR(255),
    "port" INT,
    "status" VARCHAR(16) NOT NULL,
    "operation" VARCHAR(16),
    "error_message" TEXT,
    "sealed" TEXT NOT NULL,
    "generation" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    "started_at" TIMESTAMP,
    "stopped_at" TIMESTAMP,
    "last_activity_at" TIMESTAMP
) /* A session of a user with a project. Its workload's name in the runtime is `workload`. */;
CREATE INDEX "idx_opencode_se_server_804286" ON "opencode_sessions" ("server");
CREATE INDEX "idx_opencode_se_user_id_4d87eb" ON "opencode_sessions" ("user_id");
CREATE INDEX "idx_opencode_se_status_c43aec" ON "opencode_sessions" ("status");
CREATE INDEX "idx_opencode_se_created_a8d7a9" ON "opencode_sessions" ("created_at");"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztmm1z2jgQgP+Khi+XzuSY4SW0k2804a7cNNAp7rXTy40ibAE6bMmV5BCmk/9+K9nGNi"
    "8pZkgGmHyKvdpdrZ5dvZn8rIiQcld4tNqHhyt4GFClmOCVS/SzwklA4WGz0jmqkDDMqxiR"
    "JkO/YIdVrK+swVBpSVwNCiPiKwoijypXslDH/VbaKNFHYoQIihSVaMb0BJ5DKf6jrq6irl"
    "ZoJuTUF8T7TSETKWIc6QlFMuKamVeF7lKVu6rp2hMu9M34+Nl6ueW3PGTeJTj58qV7fY6G"
    "1CXg2pq4gtuRgyfXZ5SDc/oQQkdIcFpFShMdqUsIi6I780JVdWBld9W0u0vraMq4Bw9EI6"
    "bRjKhbHhCP2ujBDSU+hQhmtl3BuyupNoME5bM0gxBDSJSCyL3zODgbEYjviWQmgerNOSIq"
    "cYf+GvR7MDrIqCQmT5n/IQWgyIMhxPigFwLhBZHS0IaGUkTjiUZagBhRaCEjDagJciVRk/"
    "PCcPupe0NyTPmiM1fA+CGMKETDOaLEncDjWMKowYGIWXChJyaUgIG3KVV2WML3FhlEIyGt"
    "kNOZrYeIsx8RxVqMKYglVMU//4IY6NIHqtLXcIpHjPpeYUowzziwcqznoZV1uf7DKppSG2"
    "JX+FHAM+VwrieCL7QZ10aajJIa91pGZjrwyPeTKZTOkDjSTCUOMWfj0RGJfDOpjHUcQCar"
    "YNzrO3jQcTCurEy41CI3OxIRVKyZrBCqsqMfmxB+r9eab5vvGq3mO1CxYS4kbx/jrjMwsa"
    "HF03Mqj7adaBJrWMYZ1HAd1asJkeuxhmu5QsDLXFOKhws2IA/Yp3ysJ/DaaD1B8e/256sP"
    "7c9njdYb06GABSVebHtJS902GdAZWFjb7qkswzaz2A/eVHAIfGvb8K1t5ltb4Ws2D1xqSc"
    "hZ/HpdOALAe1kZMqD2b4lyTfWfq1izk8qLV2v94mKLcgWtjfVq24p8zZaoQuJSHBLoZYW0"
    "Qx82FO6q5UkwfwKx0/nmGM+BUj/8PNmzm/Y3Cz2YJy0f+70/U/VcJq4+9t8vJYAAH12mwh"
    "cGO+FO1oJDof0CFZ4cmMsgzpmcRE0XKbeaW0BuNTcyNk2ri4g5V5dhnLc5uYNbq7EN4sZm"
    "xI1lxCyAeV+G78Lg9JaJi1p9C7ygtZGvbVsDGHtsTFWp5XjZ7hX3VrhhqKUwp/qnh/dZNr"
    "1QyDV4N15CUvWdbiCHRnfPN5D4a1ypK/PC4vXK/Osr8+JLYhnEBaPTWxP2T5lKKSQOqFJr"
    "zxGbr3krhqdA+6UvefG38zLYM4uTuIG8NPDsJ4MSu2DR6Lm+xq1yrx3JTuhKakaOyZqjxT"
    "W0mDvzerJFyyWyXmJaTR+Ob498qry7N52B0775VKjx67bTMS31Qn2n0rPllX3hBH3tOh+Q"
    "eUXf+72OpSmUHkvbY6bnfK+YmEikBeZihomXB5mKU9HyeUfuluWi5R6yfES7xvFlWYThjl"
    "nOW75m+ZCz7BOlMXE1u2d6vkOu19m/ZvzQMm7+N2E0zf2QbgRD4k5nRHp4pUXUxSbd1aag"
    "HixLCIebgJfQfHz8Hxgfm+g="
)
