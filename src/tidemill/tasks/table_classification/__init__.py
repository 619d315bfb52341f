"""Table classification: columns of numbers and categories in, one of several labels out."""
