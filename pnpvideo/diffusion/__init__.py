"""The maths of diffusion: schedules, solvers, sampling, inversion, guidance and noise. No I/O, no progress."""
