"""tmux 0001_init on postgres. Made from the models; never changed once released."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
        CREATE TABLE "tmux_claims" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "session_key" VARCHAR(96) NOT NULL UNIQUE,
    "session_name" TEXT NOT NULL,
    "user_id" INT NOT NULL,
    "claimed_at" TIMESTAMPTZ NOT NULL,
    "expires_at" TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE "tmux_claims" IS 'A claim that holds. `session_key` names one life of one tmux session, whatever its name.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
        """


MODELS_STATE = (
    "eJztll1v2jAUhv+KlSsmdUhjiH7cZZStSAWmNtqqTpNrEiexcOw0dgao4r/PdmLy1TJt6q"
    "ZW2g2K3/Men5PnGMODI5N80/fUx5gikjhn4MFhKMHqoR06Ag5KUxvQS4mWdO+EvnYJY1sK"
    "mSFfqlCIqMBKCrDwM5JKwplOcIFxAxkjCWJOA9EHdwILoeJwhbd3QDchAGcYUBJiwEPzrA"
    "uB0ncE1iob/8AZIFKYhL6uHnBflScs+tuFckbucwwlj7CMcabKffuuZMICvMHCLtMVDAmm"
    "QQMtCfQGRodymxptyuRHY9TvsIQ+p3nCKnO6lbHq2boJk1qNMMOZak5vL7Nco2Y5peVgLP"
    "2i08pStFjLCXCIcqoHprOLBirNgXC+8OD1xIPQ6QzTZtSwl5LPmT4IqlVh3j7SLbwdvBse"
    "D0/ej4YnymLa3CvHu6J0BaZINHjmnrMzcSRR4TCMK6i1sXbpjmOUPY63ldbirF6gzdlSfb"
    "mgE7SBFLNIxmp5OjpA9Yt7Nb5wr3qnoze6IFdf2+IrPS8jAxPS4LugzbpD2sObJw5yO+95"
    "UFuhYl1dOv8A9gG43uTG0zsnQtzTOtTezL0xvJNtGblczD9Ze20I48vFhxb8XOAM/tb9Uc"
    "v49SXyCog/zz1SETW/EDiASHahnissUkUfJ9vMbMENytS+fXiFqA8d7ulscu25s8+NE37u"
    "ehMdGTROt1V77Vtmvwn4OvUugF6C28V8YnByIaPMVKx83q2je0K55JDxNURBnYmVrdQYM9"
    "6kRG33B2NuZv4f84sbs/6fFa5qfwq0sET+ao2yAHYifMCf8nZDySBpK4ihyAxJ09ztfgKm"
    "3p4c"
)
