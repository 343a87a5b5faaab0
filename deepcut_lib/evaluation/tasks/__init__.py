"""How tables are filled: by single pictures, by parts of pictures, by sets of pictures."""
