"""A minimal handler with a connection to Redis. It shows how much time the layer's own imports add."""

import os

import redis

store = redis.Redis.from_url(os.environ["REDIS_URL"])


def handler(event, context):
    return {"body": str(store.hgetall("x"))}
