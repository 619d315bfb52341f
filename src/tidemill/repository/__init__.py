"""Git and DVC as commands: the one place that runs either."""
