"""A guard for shared terminals: masks secrets in what they show, keeps commands out, and notes who is in control."""

__version__ = "0.1.0"
