"""The one kind of error a user can mend: a single line that names what, where and the fix."""


class TidemillError(Exception):
    """Bad input: a file, a param, a row, a checkpoint or a request. Printed as one line, exit code 1."""
