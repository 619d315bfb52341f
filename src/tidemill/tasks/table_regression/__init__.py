"""Table regression: columns of numbers and categories in, a number out."""
