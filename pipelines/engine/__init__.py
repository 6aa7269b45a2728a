"""The engine: runs every declared domain along one line, from wire to snapshot."""
