"""The command line, a thin layer over the library. Installed as ``pnpvideo.cli``."""
