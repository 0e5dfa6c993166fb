"""A module path for the local model's process: see `llama_cpp`."""
