"""A registered version at work: loading it, answering many rows, watching what comes in."""
