"""Where memories are kept: the interface, and the ways there are."""
