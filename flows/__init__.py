"""Prefect flows: when stages run, in what order, and what follows. `tidemill run|sweep|monitor|…` calls them."""
