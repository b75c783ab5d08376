"""The least that a handler with a connection to Redis can be: what our own imports are held against."""

import os

import redis

store = redis.Redis.from_url(os.environ["REDIS_URL"])


def handler(event, context):
    return {"body": str(store.hgetall("x"))}
