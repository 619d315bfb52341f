"""From content to numbers: tokenizers and pixels, packed shards on disk, and batches cut from them."""
