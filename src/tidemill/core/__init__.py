"""What every room stands on: errors, files, tables, pinned files, params, plug-ins and intervals."""
