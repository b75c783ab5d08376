"""Sessions in Redis: the operations of the API, without HTTP."""
