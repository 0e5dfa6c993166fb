"""The migrations of the core, a folder per dialect, made by `moorage db makemigration core`."""
