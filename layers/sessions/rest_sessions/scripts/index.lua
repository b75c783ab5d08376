-- The index of a partition. A script that says `-- include: index.lua` takes it as KEYS[1..4]:
--   ids     zset, all scores 0   ID NUL HANDLE   the sessions of each user
--   users   zset by last use     ID              the active users
--   recent  zset by last use     HANDLE          the sessions of the app
--   expiry  zset by deadline     HANDLE:ID       the sessions to sweep
local ids, users, recent, expiry = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- Seconds for which a hash outlives its deadline. Only then does Redis drop it by itself, so that clocks which differ
-- a little never see a live session vanish.
local LINGER = 60

-- Counts the `r` or `w` of one use of a live session, and starts its time anew.
local function use_session(key, handle, session, counter, now)
  -- Clocks of different servers differ by a little; the time of last use never runs backwards.
  now = math.max(now, session.used)
  redis.call('HSET', key, counter, session[counter] + 1, 'used', now)
  redis.call('ZADD', users, 'GT', now, session.id)
  redis.call('ZADD', recent, now, handle)
  if not session.ends then
    redis.call('ZADD', expiry, now + session.ttl, handle .. ':' .. session.id)
    redis.call('EXPIRE', key, session.ttl + LINGER)
  end
end

-- Takes a session out of the index, and its user too when it was the user's last one.
local function remove_from_index(handle, id)
  redis.call('ZREM', ids, id .. '\0' .. handle)
  redis.call('ZREM', recent, handle)
  redis.call('ZREM', expiry, handle .. ':' .. id)
  if #redis.call('ZRANGEBYLEX', ids, '[' .. id .. '\0', '(' .. id .. '\1', 'LIMIT', 0, 1) == 0 then
    redis.call('ZREM', users, id)
  end
end
