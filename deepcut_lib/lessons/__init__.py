"""What the notebooks show but do not teach: figures, explorers and the checks of exercises, by lesson."""
