-- The index of a partition. A script that says `-- include: index.lua` takes it as KEYS[1..4]:
--   ids     zset, all scores 0   ID NUL HANDLE   the sessions of each user
--   users   zset by last use     ID              the active users
--   recent  zset by last use     HANDLE          the sessions of the app
--   expiry  zset by deadline     HANDLE:ID       the sessions to sweep
local ids, users, recent, expiry = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- Seconds for which a hash outlives its deadline. Only then does Redis drop it by itself, so that clocks which differ
-- a little never see a live session vanish.
local LINGER = 60

-- Counts the `r` or `w` of one use of a live session, writes the fields and values that follow, and starts its time
-- anew.
local function use_session(key, handle, session, counter, now, ...)
  local count = session[counter] + 1
  -- Clocks of different servers differ by a little; the time of last use never runs backwards. Within a second there
  -- is nothing more to do.
  if now <= tonumber(session.used) then
    redis.call('HSET', key, counter, count, ...)
    return
  end
  redis.call('HSET', key, counter, count, 'used', now, ...)
  redis.call('ZADD', users, 'GT', now, session.id)
  redis.call('ZADD', recent, now, handle)
  if not session.ends then
    redis.call('ZADD', expiry, now + session.ttl, handle .. ':' .. session.id)
    redis.call('EXPIRE', key, session.ttl + LINGER)
  end
end

-- Takes sessions out of the index, each with its owner's id, and of the owners those whose last session this was.
-- It changes a key only after all reads of it, and once: a key that lost its last member is gone, and where its slot
-- is about to move to another node of a cluster, a script that comes back to it is broken off.
local function remove_from_index(handles, owners)
  local in_ids, in_expiry, removed, counts = {}, {}, {}, {}
  for i, handle in ipairs(handles) do
    local id = owners[i]
    in_ids[i] = id .. '\0' .. handle
    in_expiry[i] = handle .. ':' .. id
    removed[in_ids[i]] = true
    counts[id] = (counts[id] or 0) + 1
  end
  local without_session = {}
  for id, count in pairs(counts) do
    local has_more = false
    -- One more than are removed would show another.
    for _, member in ipairs(redis.call('ZRANGEBYLEX', ids, '[' .. id .. '\0', '(' .. id .. '\1', 'LIMIT', 0, count + 1)) do
      has_more = has_more or not removed[member]
    end
    if not has_more then
      without_session[#without_session + 1] = id
    end
  end
  redis.call('ZREM', ids, unpack(in_ids))
  redis.call('ZREM', recent, unpack(handles))
  redis.call('ZREM', expiry, unpack(in_expiry))
  if without_session[1] then
    redis.call('ZREM', users, unpack(without_session))
  end
end
