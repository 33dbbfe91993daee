"""A page in the browser for everything that the command line does with one clip; the extra ``ui`` installs gradio."""
