"""The plugin's migrations, one folder per dialect, made by `moorage db makemigration opencode`."""
