"""Six small clips of the procedural world, the script that renders them, a demonstration and numbered examples."""
