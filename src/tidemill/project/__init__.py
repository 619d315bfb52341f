"""The whole of `params.yaml`: every block of every room, checked before any work starts."""
