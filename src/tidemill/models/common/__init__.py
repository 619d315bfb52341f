"""What several models share, and the way from params to a network."""
