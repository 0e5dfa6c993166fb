"""A tab from before an update of the server: parts of its page are gone, which is not the network's fault."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from harness import Server, running
from playwright.sync_api import Page, Request, Route, expect


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server"), {}) as server:
        server.add_user("ann", role="operator")
        yield server


class Update:
    """An update of the server, as a tab sees it that was opened before: its files are gone, the page names others.

    done: what a reload brings is the page that belongs to the server. asked: how often somebody loaded the page.
    """

    def __init__(self, page: Page, *, done: bool = True, named: str = "main-UPDATED.js") -> None:
        self.done, self.named, self.asked = done, named, 0
        self._gone = True
        page.route("**/console/assets/*", self._file)
        page.route("**/console", self._page)
        page.on("request", self._count)

    def _count(self, request: Request) -> None:
        if request.is_navigation_request():
            self.asked += 1
            self._gone = not self.done

    def _file(self, route: Route) -> None:
        # What the document itself names comes, or there would be no page.
        if self._gone and not re.search(r"/(main|chunk)-", route.request.url):
            route.fulfill(status=404, content_type="application/problem+json", body='{"status": 404}')
        else:
            route.continue_()

    def _page(self, route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub(r"main-\w+\.js", self.named, answer.text()) if self._gone else None)


def test_a_tab_from_before_an_update_loads_the_new_page_by_itself(server: Server, sign_in) -> None:
    page = sign_in("ann")
    update = Update(page)
    page.get_by_title("Your account").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    assert page.url == f"{server.url}/console/account"
    assert update.asked == 1
    expect(page.get_by_role("alert").filter(has_text=re.compile("."))).to_have_count(0)


def test_an_update_that_does_not_come_to_an_end_is_told_and_goes_not_round(server: Server, sign_in) -> None:
    page = sign_in("ann")
    update = Update(page, done=False)
    page.goto(server.url + "/console/account")
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("There is a newer version of this page. Load it to go on.")
    assert update.asked == 2, "by goto, and once by itself"
    update.done = True
    notice.get_by_role("button", name="Load it").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    assert update.asked == 3


def test_a_part_that_does_not_come_without_an_update_is_a_matter_of_the_connection(sign_in) -> None:
    page = sign_in("ann")
    page.route(re.compile(r"/console/assets/page-"), lambda route: route.abort())
    page.get_by_title("Your account").click()
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("This part of the page could not be loaded. Check the connection and try again.")
    page.unroute(re.compile(r"/console/assets/page-"))
    notice.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
