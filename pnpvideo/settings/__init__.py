"""What a run is asked to do, and what it uses: options, presets, and what a checkpoint recommends."""
