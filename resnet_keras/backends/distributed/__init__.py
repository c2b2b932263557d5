"""What each backend's own engine does where several processes or devices compute one run."""
