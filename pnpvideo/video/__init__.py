"""Read and write videos, animations and pictures as frames with exact times."""
