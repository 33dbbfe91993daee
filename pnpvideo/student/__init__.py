"""The student: a small generator that learns a translation from examples and then runs at the speed of video."""
