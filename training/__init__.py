"""How the shipped transformers were made. Not part of the installed package."""
