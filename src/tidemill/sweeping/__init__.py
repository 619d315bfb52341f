"""Looking for better params: where they are looked for, how, and what came out."""
