"""memories 0001_init on sqlite. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "memories_entries" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "pid" VARCHAR(36) NOT NULL,
    "user_id" INT NOT NULL,
    "store_id" INT NOT NULL,
    "content" TEXT NOT NULL,
    "memory_type" VARCHAR(16) NOT NULL,
    "category" VARCHAR(128) NOT NULL,
    "tags" JSON NOT NULL,
    "importance" SMALLINT NOT NULL,
    "metadata" JSON NOT NULL,
    "parent_id" VARCHAR(36),
    "chunk_index" INT,
    "total_chunks" INT,
    "created_at" TIMESTAMP NOT NULL,
    "updated_at" TIMESTAMP NOT NULL,
    CONSTRAINT "uid_memories_en_user_id_502cf5" UNIQUE ("user_id", "pid")
) /* A memory. pid: its UUID, of which no two are one user's. See `records.Memory`. */;
CREATE INDEX "idx_memories_en_store_i_13a60a" ON "memories_entries" ("store_id", "created_at", "id", "category", "memory_type", "importance");
CREATE INDEX "idx_memories_en_user_id_db020a" ON "memories_entries" ("user_id", "created_at", "id", "category", "memory_type", "importance");
CREATE TABLE "memories_owners" (
    "user_id" INT NOT NULL PRIMARY KEY,
    "memories" INT NOT NULL
) /* A user who has, or had, memories. Its row is locked by who adds some: so their number is never wrong. */;
CREATE TABLE "memories_stores" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "user_id" INT NOT NULL,
    "name" VARCHAR(64) NOT NULL,
    "project" TEXT,
    "project_hash" VARCHAR(64),
    "memories" INT NOT NULL,
    "created_at" TIMESTAMP NOT NULL,
    CONSTRAINT "uid_memories_st_user_id_3f3dda" UNIQUE ("user_id", "name"),
    CONSTRAINT "uid_memories_st_user_id_24f079" UNIQUE ("user_id", "project_hash")
) /* A named part of a user's memories. project: a folder's absolute path; project_hash: SHA-256 of it, for the index. */;
CREATE TABLE "memories_tags" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "user_id" INT NOT NULL,
    "tag" VARCHAR(128) NOT NULL,
    "memory_id" INT NOT NULL
) /* A tag of a memory, to find it by. */;
CREATE INDEX "idx_memories_ta_memory__8166b8" ON "memories_tags" ("memory_id");
CREATE INDEX "idx_memories_ta_user_id_1dbf15" ON "memories_tags" ("user_id", "tag", "memory_id");"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztWm1z4jYQ/is7/tJ0hmMakpIM/cQlXJNOAp3D197cyzjCFtjFlnyyOMJc89+7km2wje"
    "FMLqGE4UuC90WWH60frXb9zQhowIVHo/qt+jHrMClmRgu+GYwEFH+UG9TAIGGYVSuRJAM/"
    "52NRtE6UZBBJQWyJ+iHxI4oih0a28ELpcaa82qD9ZnUIPacFnozg3bvryxrwIUxdz3aBcZ"
    "BTDkRQ4IzCJKLip6gOfUrhTlCbCyed5l1d3dPhNt7UY6OnH/4T+8Rec+mCxxx6TyNwyVcK"
    "xPdBukQu7N94vqTiDkg0jmDIBQwmEiQZRS0g4HuRBE/JJ8ypAWEO2PhTUrzwGI5E4+FxXJ"
    "yQfqQJ875MqCX5iKJa4IN9/GiomVqeo/T4bMbnz/gjmVdsEEkuaGJhC0rwDhaR6iqRoWTE"
    "44WNUbLkLKTaIAi5kITZ1MBhc/f6gZHUDMOxNfSo7+TCLR5Fy2NHlF0z+UYbqiUdWDb3Jw"
    "FbGIcz6XI2t/aYns6IMirU9FAmxUTFG5v4fhKiaQjGcC5MYtQyPg4dkomvolZ5xxNYyAzL"
    "6vZMq98xLctYiujUIxOFicjmTL0NONVIP/1ITeFV4/j07PT8pHl6jiZ6mnPJ2UN86wUwsa"
    "OGp2saD1pPJIkt9LIvQA3LUL1wiSiHNSzFFSdcxDVFcR2wqWCB7OL13wa0Abm3fMpG0sXL"
    "k+YaHP9qv724ar89Omn+rG7Ika1iOusmmoZWKagX0GZeh4pBm31Zvxu5LwHhJwneBaJZrq"
    "oIadblgGkJpji8pDESeUhNer8C04zLXhDBGrzMzntT71dR9MXPvvBHt+33mguCWaK56XV/"
    "T80zBHFx03tdgLyw+VXl3oLbXkCf5+DjKhx8vJqDj5c4OJtzVMU567OPIDfOq6DcOF8Ns9"
    "LlcVZp6zLGf/R73XKMU/sCvo5nS/hXJ78vEOc1sCok1vNIkTIUODySI6FH0QMUeSSTNS9B"
    "3w/wwLE6O8557tO+eNI4a863RHWxbjfs37Zvbpa3xIBKohLmTQI663MI6h8I6hDP2EyWJn"
    "lrjiVZp0dxdnKm2xXUn/tsYrsTNrb0w22QTBe8HsUbuwb0E6fTkkviWxqokg1xJbJFtwO0"
    "JSeVXE0pD+wlaqQX0BVxm/Ms0nPiWk9/7BdJm9e3nb7Zvv0zx9SXbbOjNI3cESaVHhWpZD"
    "4I/H1tXoG6hA+9bqdI6HM784Oh5kQmkluMTy3iZDFJxakoXzYJnUcuc97zsMw7t8yqtDsc"
    "Z+qQSjAg9nhKhGMtaXiDr7JdVgWNoCghjIz0Iik01TwLDYvelOky+cqORmxQq9jR4Mq6ck"
    "ND1fpg6nJwSVQDLvC/U4P5BOBaRiD4VPUAfG6PqQODmbZHjCOIeEBb+Fc1AjyBDxgMcDi0"
    "ZfSrGldwNirrc2zpriWtiELjYWWVfweqpntd8M/GcEWAsy7bOyv+ssMA7xiR9VWRex2RxQ"
    "ZViUzXzCsTmbqlA3gCk6pdSpLeaIZTQsH/obZUXc0h9x2txYExvCRFP+n+lppYyEpuC/pX"
    "7VeNX5tqOE/WdGt03u8sI7Utz0D1d9OxW+AiW+ICzZSBoLpD7DH0qtSS1ctV7J1mp7LUsD"
    "10R7dJljuwGe3ZIU7/X4JzdWUntd/DQnzztEJVp3m6sqqjVIXaWcwcm/TyMi77UDfbdisv"
    "x9UbhHXRbx+wf+7oPmSuh4LaLvDIodKy8QHFJCNjzfFEqaseTtLOcZWjCdrGJ4L404kaSA"
    "5DjChMz2EwKztKVPD4fm0jl83L+NmSjzfSTzAPKfwhhX9ZCOe+9dgk1UnM9zCBf5YvaRZE"
    "sWGaM3vmmH1ppPC/boEP/wGwJLyv"
)
