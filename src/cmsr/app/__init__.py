"""What people run: the command line, reports, batches, the web page."""
