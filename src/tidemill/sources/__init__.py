"""What `tidemill fetch` downloads, each file pinned by its hash."""
