"""Params of monitoring and of the HTTP service; no stage reads them."""

from typing import Annotated

from pydantic import Field

from tidemill.core.params import Fraction, Params

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class Monitor(Params):
    """How far new inputs may be from those of the training before it is an alarm."""

    sample: Annotated[int, Field(ge=50)] = 1000
    """New rows that are examined, at most, and rows of the version's own that they are compared with."""
    distance: Annotated[float, Field(gt=0)] = 0.2
    """Largest distance of a column's distribution from that of the version's own rows: normed Wasserstein for numbers,
    Jensen-Shannon for classes."""
    accuracy_drop: Fraction = 0.05
    """How far the main metric may fall below that of the test, where new rows have labels."""
    retrain: bool = False
    """Whether the retrain deployment is started when a limit is passed, once for the same new data."""


class Serve(Params):
    """What a request and a client may ask of the HTTP service."""

    rows: Count = 1000
    """Rows of a request."""
    bytes: Count = 2**24
    """Bytes of a request's body."""
    values: Count = 300_000
    """Commas and brackets of a request's body, those in its texts as well: parsing it takes so long that nothing else is
    answered meanwhile."""
    keys: Count = 100
    """Different names of columns in the rows of a request."""
    characters: Count = 2_000_000
    """Characters of all texts of a request."""
    pixels: Count = 64_000_000
    """Pixels of all pictures of a request, as their headers declare them: nothing is decoded before."""
    new_tokens: Count = 100_000
    """Rows of a request times the tokens that are generated for each."""
    stop: Count = 16
    """Stop texts of a request."""
    stop_characters: Count = 1000
    """Characters of all its stop texts."""
    seconds: Seconds = 120
    """Seconds that a request may take, waiting included; then its work ends."""
    upload: Seconds = 30
    """Seconds until the body of a request has to be there."""
    idle: Seconds = 10
    """Seconds after which a connection is closed that sends no whole request head, or does not read its response."""
    waiting: Count = 64
    """Requests that wait or are worked on; further ones are refused with 503."""
    client: Count = 32
    """Those of one client, by its address; further ones are refused with 429. Clients take turns, whatever their number."""
    connections: Count = 64
    """Open connections of one client; further ones are closed."""
    shutdown: Seconds = 10
    """Seconds that requests may still take when the service is stopped, and then what is to be compared and recorded."""
