"""The web pages: one application, built from `web/` into `static/` when the package is built."""
