"""memories 0001_init on postgres. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "memories_entries" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "pid" VARCHAR(36) NOT NULL,
    "user_id" INT NOT NULL,
    "store_id" INT NOT NULL,
    "content" TEXT NOT NULL,
    "memory_type" VARCHAR(16) NOT NULL,
    "category" VARCHAR(128) NOT NULL,
    "tags" JSONB NOT NULL,
    "importance" SMALLINT NOT NULL,
    "metadata" JSONB NOT NULL,
    "parent_id" VARCHAR(36),
    "chunk_index" INT,
    "total_chunks" INT,
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL,
    CONSTRAINT "uid_memories_en_pid_c04960" UNIQUE ("pid", "user_id")
);
CREATE INDEX "idx_memories_en_store_i_13a60a" ON "memories_entries" ("store_id", "created_at", "id", "category", "memory_type", "importance");
CREATE INDEX "idx_memories_en_user_id_db020a" ON "memories_entries" ("user_id", "created_at", "id", "category", "memory_type", "importance");
COMMENT ON TABLE "memories_entries" IS 'A memory. pid: its UUID, of which no two are one user''s. See `records.Memory`.';
CREATE TABLE "memories_owners" (
    "user_id" INT NOT NULL PRIMARY KEY,
    "memories" INT NOT NULL
);
COMMENT ON TABLE "memories_owners" IS 'A user who has, or had, memories. Its row is locked by who adds some: so their number is never wrong.';
CREATE TABLE "memories_stores" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "user_id" INT NOT NULL,
    "name" VARCHAR(64) NOT NULL,
    "project" TEXT,
    "project_hash" VARCHAR(64),
    "memories" INT NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    CONSTRAINT "uid_memories_st_user_id_3f3dda" UNIQUE ("user_id", "name"),
    CONSTRAINT "uid_memories_st_user_id_24f079" UNIQUE ("user_id", "project_hash")
);
COMMENT ON TABLE "memories_stores" IS 'A named part of a user''s memories. project: a folder''s absolute path; project_hash: SHA-256 of it, for the index.';
CREATE TABLE "memories_tags" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "user_id" INT NOT NULL,
    "tag" VARCHAR(128) NOT NULL,
    "memory_id" INT NOT NULL
);
CREATE INDEX "idx_memories_ta_memory__8166b8" ON "memories_tags" ("memory_id");
CREATE INDEX "idx_memories_ta_user_id_1dbf15" ON "memories_tags" ("user_id", "tag", "memory_id");
COMMENT ON TABLE "memories_tags" IS 'A tag of a memory, to find it by.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztWlFz2jgQ/is7vFxuhmYuJEcy3BNN6CU3CdwUt9dp2nGELbAPW3JlUcL08t+7km2wjU"
    "1NmnCE4SWxV7vy+tPyabXrbzWf+ly4NDy8URezDpNiVmvBtxojPsWLYoU61EgQpIeVSJKB"
    "l7ExKWrHg2QQSkEsieND4oUURTYNLeEG0uVMWbVB280OIXDtFrgyhHfvri7qwIcwdVzLAc"
    "ZBTjkQQYEzCpOQil/CQ+hTCneCWlzYiZt3h+qZNrfwoS4bPf30n9gn9ppLB1xm03sagkO+"
    "UiCeB9IhcqH/xvUkFXdAwnEIQy5gMJEgyShsAQHPDSW4Sj5hdh0Is8HCS0nxxmU4E42mx3"
    "nRIf1KE+Z+mVBT8hHFYYEvdntbwxfSY+iwiZefP+NN7FekEEouqBlpWYISfIJJpLqLZSgZ"
    "8WhhI5RMOQuoVvADLiRhFq3htLfzh/zcTMrDYGwOXerZmXCLZtHyyBBlV0y+0YpqSQemxb"
    "2JzxbKwUw6nM21XabdGVFGhXIPZVJMVLyxiefFIZqEYATnQiVCLWVj0yGZeCpqlXXkwEJW"
    "M81uzzD7HcM0a0sRnVikojAWWZypXwO6Guq3HykXXjWOTk5Pzo6bJ2eoot2cS04fokcvgI"
    "kMNTxdo/agx4kkkYZe9gWoQRGq5w4RxbAGhbiiw3lcExRXAZsIFsgufv6bgNYn96ZH2Ug6"
    "eHvcXIHj+/bb88v224Pj5q/qgRzZKqKzbjzS0EMK6gW0qZ9DxaBNWfw4cl8Cwk8SvAtE01"
    "xVEdK0yR7TAkxxekkjJLKQGvS+BNOUyU4QwQq8jM4HQ+9XYfjFS//gD27aHzQX+LN45LrX"
    "/TNRTxHE+XXvdQ7y3OZXlXtzZjsBfZaDj6pw8FE5Bx8tcXA656iKc9pmF0FunFVBuXFWDr"
    "May+Ks0tZljP/q97rFGCf6OXxt15Lwn05+XyDOK2BVSKzmkTxlKHB4KEdCz6InyPNIKmte"
    "gr7v44GjPDvOWO7SvnjcOG3Ot0R1s2o37N+0r6+Xt0SfSqIS5nUCOm2zD+qfCOoAz9hMFi"
    "Z5K44laaNHcXZ8ptsW1J/7bGI5EzY29cutkUznrB7FG9sG9BOn05JL4pkaqIINsRTZvNke"
    "2oKTSqamlAX2Akek69OSuM1Y5uk5Nj1MLnaLpI2rm07faN/8nWHqi7bRUSONzBEmkR7kqW"
    "Q+CfxzZVyCuoWPvW4nT+hzPeNjTflEJpKbjE9NYqcxScSJKFs2CexHLnPWcr/MW7fMqrQ7"
    "HKfqkEowINZ4SoRtLo3wBi/TXR7yG35eQhgZ6UVSaCo/cw2L3pTpMnlpRyNSqFfsaHClXb"
    "mhoWp9MHU4OCSsAxf4367D3AG4kiEIPlU9AI9bY2rDYKb1EeMQQu7TFv5VjQBX4Av6A5wO"
    "dRn9quYVnI2K+hwbempBKyLXeCit8m9B1XSnC/7pGK4IcNpkc2fF37YY4C0jsr4qcq8isk"
    "ihKpHpmnllIlOPtAFPYFK1S0ncG01xSiD4v9SSqqs55J6tR3FiDC9J0U46fyQqJrKS04L+"
    "ZftV4/emms6Vdd0anfc7i0htwx6o/m4ydwscZEtcoJlSEFR3iF2GVuUt2RRf6eXK907Tri"
    "w1bPfd0U2S5RZsRjt2iNP/l+Asr+wk+jtYiG+eVKjqNE9KqzpqKFc7i5hjnV5eymQX6mab"
    "buVluHqNsM7b7QL2zx3d+8x1X1DbBh7ZV1rWPqAYZFRbcTxRw1UPJ0nnuMrRBHWjE0H06U"
    "QdJIchRhSm5zCYFR0lKlj8uLaRyeZl9G7xxxvJJ5j7FH6fwr8shDPfeqyT6sTqO5jAP8uX"
    "NAuiWDPNmT1zzL40Uvhft8CH76uWvK8="
)
