"""Reports on paper: what they say, made from the same rows and by the same rules as the pages, and how they are set."""
