"""Ways to translate: what is inverted, where sampling starts, and which edits steer it."""
