"""A viewer who does not keep up: what is dropped, what is kept, and when it is given up."""

from __future__ import annotations

import asyncio

import pytest
from moorage_tmux.viewers import MAX_KEPT, Viewer
from waits import WAIT


@pytest.fixture
def stuck(fake_socket):
    """A viewer who lags, its socket, and what became of it."""
    socket, said = fake_socket(), []
    viewer = Viewer(
        socket,
        limit=1000,
        spawn=lambda coro, name: asyncio.get_running_loop().create_task(coro),
        on_recovered=lambda: said.append("recovered"),
        on_given_up=lambda: said.append("given up"),
    )
    socket.stuck = True
    return viewer, socket, said


async def recovered(said):
    async with asyncio.timeout(WAIT):
        while "recovered" not in said:
            await asyncio.sleep(0.01)


async def test_output_is_dropped_and_the_rest_is_kept(stuck):
    viewer, socket, said = stuck
    assert not viewer.post('"' + "x" * 2000 + '"') or viewer.lagging
    viewer.tell('"claimed"')
    assert viewer.post('"output"') is False
    viewer.tell('"released"')
    assert len(socket.texts) == 1
    socket.unstick()
    await recovered(said)
    assert socket.messages[1:] == ["claimed", "released"], "in their order, before the screen as it is"


async def test_what_was_kept_may_stick_again(stuck):
    viewer, socket, said = stuck
    viewer.tell('"' + "x" * 2000 + '"')
    for number in range(5):
        viewer.tell(f'"{number}' + "x" * 600 + '"')
    socket.unstick()
    socket.stuck = True
    await asyncio.sleep(0.05)
    assert viewer.lagging
    assert said == []
    viewer.tell('"last"')
    socket.unstick()
    await recovered(said)
    assert [message[0] for message in socket.messages] == ["x", "0", "1", "2", "3", "4", "l"]


async def test_one_who_never_reads_is_given_up(stuck):
    viewer, socket, said = stuck
    viewer.post('"' + "x" * 2000 + '"')
    for _ in range(MAX_KEPT // 1000 + 1):
        viewer.tell('"' + "x" * 1000 + '"')
    assert said == ["given up"]
    assert len(socket.texts) == 1
