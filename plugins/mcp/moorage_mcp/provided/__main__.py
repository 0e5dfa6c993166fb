"""Serve the folder in which it is started, or that is named, over stdin and stdout."""

import os
import sys

from moorage_mcp.provided.server import make


def main() -> None:
    """Until stdin ends."""
    folder = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else ".")
    try:
        server = make(folder)
    except OSError as error:
        sys.exit(f"{folder}: {error.strerror}")
    server.run("stdio")


if __name__ == "__main__":
    main()
