"""What clients of eaRS and kokorox speak."""
