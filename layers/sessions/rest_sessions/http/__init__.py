"""HTTP as API Gateway speaks it: an event in, an answer out. No other package knows API Gateway."""
