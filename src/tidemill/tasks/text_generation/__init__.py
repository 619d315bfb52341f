"""Text generation: a text in, its continuation out, by a language model."""
