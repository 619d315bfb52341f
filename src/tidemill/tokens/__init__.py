"""From content to numbers: tokenizers, packed shards on disk, and whole batches cut from them."""
