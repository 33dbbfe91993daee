"""Networks behind one protocol: the engine never asks which model it drives."""
