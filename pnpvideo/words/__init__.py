"""What a picture says, and where an edit points in text-embedding space."""
