"""Tidemill: raw data in, a reviewed, promoted, served model out, and every number reproducible."""

__version__ = "0.1.0"
