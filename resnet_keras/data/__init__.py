"""Images: where they come from, how they are split, ordered and augmented (section 4.2)."""
