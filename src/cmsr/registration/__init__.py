"""Registration of the guide on the target: transforms, and the search for the right ones."""
