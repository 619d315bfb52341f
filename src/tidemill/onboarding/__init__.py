"""`tidemill new`: inspects data and proposes a system for it."""
