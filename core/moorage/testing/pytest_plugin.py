"""The pytest plugin of the kit for plugin authors."""
