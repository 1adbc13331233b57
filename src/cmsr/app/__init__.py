"""The applications: command line, reports, batches, web page."""
