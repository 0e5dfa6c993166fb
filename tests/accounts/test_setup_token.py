"""The first owner: one token, one use, and only while there is nobody."""

import asyncio

import pytest
from moorage.accounts import SYSTEM, ClientInfo
from moorage.accounts.models import User
from moorage.errors import Forbidden, TooManyRequests, ValidationFailed

PASSWORD = "correct horse battery"
HOME = ClientInfo("192.0.2.1", "pytest")


@pytest.fixture
def token_file(tmp_path):
    return tmp_path / "run" / "setup-token"


async def test_the_token_makes_the_owner_and_logs_in(desk, token_file):
    with desk.db.activate():
        token = await desk.accounts.issue_setup_token()
        assert token_file.read_text() == token + "\n"
        assert token_file.stat().st_mode & 0o777 == 0o600
        assert len(token) >= 32
        login = await desk.accounts.redeem_setup(token, "Root", PASSWORD, HOME, email="root@example.org")
        assert (login.actor.user.username, login.actor.user.role) == ("Root", "owner")
        assert await desk.accounts.authenticate(login.token) == login.actor
        assert (await desk.login("root@example.org")).actor.user == login.actor.user
        assert not token_file.exists()
        with pytest.raises(Forbidden) as refused:
            await desk.accounts.redeem_setup(token, "second", PASSWORD, HOME)
        assert refused.value.error_code == "SETUP_DONE"
        assert await desk.accounts.issue_setup_token() is None
        assert ("setup.completed", f"user:{login.actor.user.id}") in await desk.audit()


async def test_wrong_tokens_are_refused_and_slowed(desk):
    with desk.db.activate():
        token = await desk.accounts.issue_setup_token()
        for wrong in ("", token[:-1], token + "\n", token.upper(), "ü", "\ud800", *"abcdefghi"):
            with pytest.raises(Forbidden) as refused:
                await desk.accounts.redeem_setup(wrong, "root", PASSWORD, HOME)
            assert refused.value.error_code == "INVALID_SETUP_TOKEN"
        with pytest.raises(TooManyRequests):
            await desk.accounts.redeem_setup(token, "root", PASSWORD, HOME)
        desk.clock.turn(2)
        assert await desk.accounts.redeem_setup(token, "root", PASSWORD, HOME)


async def test_without_a_file_nothing_is_the_token(desk, token_file):
    with desk.db.activate():
        for content in (None, "", "\n", "ümlaut"):
            if content is not None:
                token_file.parent.mkdir(exist_ok=True)
                token_file.write_text(content)
            for given in ("", "\n", "ümlaut"):
                with pytest.raises(Forbidden):
                    await desk.accounts.redeem_setup(given, "root", PASSWORD, HOME)


async def test_a_wrong_name_or_password_uses_nothing_up(desk):
    with desk.db.activate():
        token = await desk.accounts.issue_setup_token()
        for username, password in (("a b", PASSWORD), ("root", "short"), ("rootroot", "rootroot")):
            with pytest.raises(ValidationFailed):
                await desk.accounts.redeem_setup(token, username, password, HOME)
        assert await desk.accounts.redeem_setup(token, "root", PASSWORD, HOME)


async def test_a_new_start_makes_a_new_token(desk):
    with desk.db.activate():
        first = await desk.accounts.issue_setup_token()
        second = await desk.accounts.issue_setup_token()
        assert first != second
        with pytest.raises(Forbidden):
            await desk.accounts.redeem_setup(first, "root", PASSWORD, HOME)
        assert await desk.accounts.redeem_setup(second, "root", PASSWORD, HOME)


async def test_a_user_made_elsewhere_ends_the_setup(desk, token_file):
    with desk.db.activate():
        token = await desk.accounts.issue_setup_token()
        await desk.accounts.create_user("ann", password=PASSWORD, by=SYSTEM)
        assert not token_file.exists()
        with pytest.raises(Forbidden):
            await desk.accounts.redeem_setup(token, "root", PASSWORD, HOME)


@pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)
async def test_of_many_at_once_one_becomes_owner(make_desk):
    servers = [await make_desk() for _ in range(2)]
    with servers[0].db.activate():
        token = await servers[0].accounts.issue_setup_token()

    async def redeem(number):
        with servers[number % 2].db.activate():
            return await servers[number % 2].accounts.redeem_setup(token, f"root{number}", PASSWORD, HOME)

    done = await asyncio.gather(*(redeem(n) for n in range(8)), return_exceptions=True)
    refused = [one for one in done if isinstance(one, Exception)]
    assert len(refused) == 7
    assert {type(one) for one in refused} == {Forbidden}
    with servers[0].db.activate():
        assert await User.all().count() == 1
