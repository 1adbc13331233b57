"""The closed-form method: candidates for the sharp image, weighed by held-out pixels."""
