"""The site and the slides, made from the saved notebooks."""
