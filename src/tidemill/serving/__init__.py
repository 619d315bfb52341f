"""Predictions of registered versions: of one row, of files of any size, over HTTP, and compared with what came before."""
