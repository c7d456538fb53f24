"""Block masks and block-sparse layers: the heart of the project."""
