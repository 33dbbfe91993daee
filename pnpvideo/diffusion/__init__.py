"""Diffusion, pure: the schedule, one step function for both directions, guidance, inversion and sampling."""
