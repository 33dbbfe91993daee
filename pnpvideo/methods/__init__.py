"""Methods of translation: whether to invert, where sampling starts, and which edits steer it."""
