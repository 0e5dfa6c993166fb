"""What the tests of workers have called in a process of its own."""

import os
import sys
import time


class Thing:
    def __init__(self, settings):
        if settings.get("fail"):
            raise RuntimeError("cannot be made")
        self.count = 0

    def add(self, body, by=1):
        self.count += by
        return {"count": self.count, "pid": os.getpid()}, body[::-1]

    def refuse(self, body):
        raise ValueError("not like this")

    def crash(self, body):
        print("native words", flush=True)
        os.abort()

    def sleep(self, body, seconds):
        time.sleep(seconds)
        return

    def environ(self, body):
        return sorted(os.environ)

    def modules(self, body):
        return [name for name in sys.modules if name.split(".")[0] == "moorage"]
