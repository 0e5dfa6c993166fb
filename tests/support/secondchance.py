"""A failed test leaves nothing behind: what its module's or class's tests share is made anew for whoever comes next.

That is first the same test, when it is run again (pytest-rerunfailures, `.ci/run`): by itself that plugin keeps all but
the fixtures of the test's own, and what the failed run left in the shared ones fails the next. What is shared by the
whole run stays.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.when == "setup":
        item.stash[FAILED] = False
    if report.failed:
        item.stash[FAILED] = True
    return report


# The innermost of the wrappers: before pytest-rerunfailures takes what is not the test's own out of the teardown.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    try:
        if item.stash.get(FAILED, False):
            _end_module(item)
    finally:
        try:
            result = yield
        except BaseException:
            _end_module(item)
            raise
    return result


def _end_module(item: pytest.Item) -> None:
    module = item.getparent(pytest.Module)
    if module is not None and module.parent is not None:
        item.session._setupstate.teardown_exact(module.parent)  # type: ignore[arg-type]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Generator[None, Any, Any]:
    """At the very end, where nothing is cut off: which tests had to be run again, and why."""
    result = yield
    for report in terminalreporter.stats.get("rerun", ()):
        crash = getattr(report.longrepr, "reprcrash", None)
        reason = str(crash.message if crash else report.longrepr or "").strip().partition("\n")[0]
        terminalreporter.write_line(f"RERUN {report.nodeid} ({report.when}): {reason[:300]}", yellow=True)
    return result
