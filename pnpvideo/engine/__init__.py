"""The engine: windows of a clip are inverted, sampled and decoded; every step is stored and can be resumed."""
