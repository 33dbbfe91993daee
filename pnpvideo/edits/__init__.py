"""The ideas, one a file: what to do with the tensors that the seam hands over."""
