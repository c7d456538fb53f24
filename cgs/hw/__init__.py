"""What a packed model would cost as a chip."""
