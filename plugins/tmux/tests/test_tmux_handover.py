"""Control that changes hands: claims on both sockets, asking for control, declining it, handing it over."""

from __future__ import annotations

import asyncio
import contextlib

from terminals import ISO, api, connect, ids, session


@contextlib.asynccontextmanager
async def watching(server, name, *who):
    """A `/ws` of each that shows the session."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(server, each)) for each in who]
        for client in clients:
            await client.send(type="subscribe", sessionId=name)
            await client.next("output")
        yield clients


async def refused(client, **message):
    await client.send(**message)
    return await client.next("error")


async def test_claim_and_release_on_a_terminals_own_socket(server, tmux, request):
    name = session(tmux, request)
    async with connect(server, "ann", f"/ws/terminal/{name}") as ann, watching(server, name, "bob") as (bob,):
        await ann.next("output")
        await ann.send(type="claim")
        assert (await bob.next("claimed", sessionId=name))["by"]["name"] == "ann"
        await ann.send(type="sendKeys", keys="typed")
        await bob.text("typed")
        wrong = await refused(ann, type="release", sessionId="another")
        assert wrong["code"] == "INVALID_MESSAGE"
        await asyncio.to_thread(tmux.run, "rename-session", "-t", name, "called-otherwise")
        await bob.next("sessionRenamed")
        await ann.send(type="release")
        assert (await bob.next("released"))["sessionId"] == "called-otherwise"
        assert (await refused(ann, type="release"))["code"] == "NOT_CLAIMED"
    async with connect(server, "vic", "/ws/terminal/called-otherwise") as vic:
        await vic.next("output")
        assert (await refused(vic, type="claim"))["code"] == "FORBIDDEN"


async def test_asking_declining_and_handing_over(server, tmux, request):
    name = session(tmux, request)
    who = await asyncio.to_thread(ids, server)
    async with (
        watching(server, name, "ann", "vic", "ada") as (ann, vic, ada),
        connect(server, "bob", f"/ws/terminal/{name}") as bob,
    ):
        await bob.next("output")
        assert (await refused(bob, type="requestControl"))["code"] == "NOT_CLAIMED"
        assert (await refused(bob, type="handOver", userId=who["ann"]))["code"] == "NOT_CLAIMED"
        await ann.send(type="claim", sessionId=name)
        await ann.next("claimed")
        assert (await refused(vic, type="requestControl", sessionId=name))["code"] == "FORBIDDEN"
        assert (await refused(ann, type="requestControl", sessionId=name))["code"] == "ALREADY_CLAIMED"
        nobody_asked = await refused(ann, type="declineControl", sessionId=name, userId=who["bob"])
        assert nobody_asked["code"] == "USER_NOT_FOUND"

        await bob.send(type="requestControl")
        for client in (ann, bob):
            asked = await client.next("controlRequested")
            assert (asked["sessionId"], asked["by"]) == (name, {"id": who["bob"], "name": "bob"})
            assert ISO.match(asked["at"])
        again = await refused(bob, type="requestControl")
        assert (again["code"], 1 <= again["retryAfter"] <= 5) == ("RATE_LIMITED", True)
        stranger = await refused(ada, type="declineControl", sessionId=name, userId=who["bob"])
        assert stranger["code"] == "NOT_CLAIMED"
        await ann.send(type="declineControl", sessionId=name, userId=who["bob"])
        declined = await bob.next("controlDeclined")
        assert (declined["sessionId"], declined["by"]["id"]) == (name, who["ann"])
        assert (await refused(bob, type="requestControl"))["code"] == "RATE_LIMITED", "declined, but not forgotten"

        for user, code in (("nobody", "USER_NOT_FOUND"), (who["vic"], "FORBIDDEN"), (who["ann"], "ALREADY_CLAIMED")):
            assert (await refused(ann, type="handOver", sessionId=name, userId=user))["code"] == code
        for user in (None, "", 5, {}):
            assert (await refused(ann, type="handOver", sessionId=name, userId=user))["code"] == "INVALID_MESSAGE"
        await ann.send(type="handOver", sessionId=name, userId=who["bob"])
        for client in (ann, bob, vic, ada):
            passed = await client.next("claimed", by={"id": who["bob"], "name": "bob"})
            assert passed["previous"] == {"id": who["ann"], "name": "ann"}
            assert ISO.match(passed["expiresAt"])
        await bob.send(type="sendKeys", keys="now mine")
        await vic.text("now mine")
        assert (await refused(ann, type="sendKeys", sessionId=name, keys="x"))["code"] == "CLAIM_REQUIRED"
        assert (await refused(ann, type="handOver", sessionId=name, userId=who["ann"]))["code"] == "NOT_CLAIMED"
        present = await vic.next("presence")
        while {user["name"] for user in present["users"] if user["status"] == "controlling"} != {"bob"}:
            present = await vic.next("presence")


async def test_handing_over_by_http(server, tmux, request):
    name = session(tmux, request)
    who = await asyncio.to_thread(ids, server)
    path = f"/api/sessions/{name}/claim"
    with api(server, "ann") as ann, api(server, "bob") as bob, api(server, "vic") as vic:

        async def post(client, end, body=None):
            return await asyncio.to_thread(client.post, path + end, json=body)

        assert (await post(bob, "/request")).status_code == 404
        assert (await post(ann, "")).status_code == 200
        assert (await post(vic, "/request")).json()["error"] == "FORBIDDEN"
        own = await post(ann, "/request")
        assert (own.status_code, own.json()["details"]["code"]) == (409, "ALREADY_CLAIMED")
        absent = await post(ann, "/transfer", {"userId": who["bob"]})
        assert (absent.status_code, absent.json()["details"]["code"]) == (404, "USER_NOT_FOUND")
        async with watching(server, name, "bob", "ann") as (bobs, anns):
            asked = (await post(bob, "/request")).json()
            assert asked["success"] is True
            assert asked["request"]["by"] == {"id": who["bob"], "name": "bob"}
            assert (await anns.next("controlRequested"))["by"]["id"] == who["bob"]
            limited = await post(bob, "/request")
            assert (limited.status_code, limited.json()["error"]) == (429, "RATE_LIMITED")
            assert int(limited.headers["retry-after"]) <= 5
            foreign = await post(bob, "/transfer", {"userId": who["bob"]})
            assert (foreign.status_code, foreign.json()["details"]["code"]) == (409, "NOT_CLAIMED")
            for body in ({}, {"userId": None}, {"userId": ""}, {"userId": "x" * 65}, {"userId": ["x"]}):
                assert (await post(ann, "/transfer", body)).status_code == 400
            passed = await post(ann, "/transfer", {"userId": who["bob"]})
            assert passed.json()["claim"]["userId"] == who["bob"]
            assert (await bobs.next("claimed", by={"id": who["bob"], "name": "bob"}))["previous"]["id"] == who["ann"]
        assert (await asyncio.to_thread(bob.delete, path)).status_code == 200


async def test_only_those_whom_it_concerns_are_asked(server, tmux, request):
    name, other = session(tmux, request), f"{request.node.name}-other"
    tmux.cat(other)
    async with (
        connect(server, "ann", f"/ws/terminal/{other}") as elsewhere,
        watching(server, name, "ann", "bob", "ada") as (ann, bob, ada),
    ):
        await ann.send(type="claim", sessionId=name)
        await bob.next("claimed")
        await bob.send(type="requestControl", sessionId=name)
        await ann.next("controlRequested")
        await ada.send(type="release", sessionId=name)
        await ada.next("released")
        await elsewhere.send(type="claim")
        await elsewhere.next("claimed")
        kinds = {message["type"] for message in (*elsewhere.messages, *ada.messages)}
        assert "controlRequested" not in kinds
        assert [m["sessionId"] for m in elsewhere.messages if m["type"] in ("claimed", "released")] == [other]
