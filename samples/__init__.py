"""Six small clips of the miniature's world, the script that renders them, a demonstration and numbered examples."""
