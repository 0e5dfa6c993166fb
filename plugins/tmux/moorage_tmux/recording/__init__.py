"""Recordings of terminals: written as asciicast files while a session goes on, listed, replayed and deleted later."""
