"""Migrations, made by `moorage db makemigration`."""
