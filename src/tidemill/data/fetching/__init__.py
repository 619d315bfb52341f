"""How pinned bytes get here: addresses, transfers that resume, the shared cache, members of archives."""
