"""Looking back from a version: what it was made from, how two differ, making it again, keeping what that takes."""
