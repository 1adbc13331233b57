"""Methods side by side: what `cmsr bench` runs, records, trains and draws."""
