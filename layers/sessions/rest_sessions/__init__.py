"""A session store that app servers of any platform share over REST."""
