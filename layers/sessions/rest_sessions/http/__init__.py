"""HTTP as API Gateway speaks it: an event in, an answer out.

No other package knows the form of events and answers, except that access/principal builds the authorizer's context.
"""
