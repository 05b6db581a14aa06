"""Grade submissions that may be hostile: their code runs in a sandbox, and only plain arrays come out."""
