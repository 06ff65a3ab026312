"""The page at `/analytics`: made on the server, complete in itself, readable without scripts."""
