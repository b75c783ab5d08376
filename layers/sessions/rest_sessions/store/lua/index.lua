-- Keeps the four sorted sets of a partition in step with its sessions.
-- include: record.lua

-- Redis drops a hash this many seconds after the session's expiry time. So a live session never vanishes, although the
-- clocks of the callers differ a little.
local LINGER = 60

-- The index of the partition, from the first four keys of a script.
local function index_of(keys)
  return { ids = keys[1], users = keys[2], recent = keys[3], expiry = keys[4] }
end

-- Records one use of a live session: increments `counter` ('r' or 'w'), writes the given fields and values, and
-- restores lost index entries. Without a fixed end, it starts the idle timeout again. Returns the new count as text.
local function use_session(index, key, handle, session, counter, now, ...)
  local count = string.format('%d', session[counter] + 1)
  -- The time of last use never goes back, although the clocks of the callers differ a little. A second use within the
  -- same second changes no time, and does not look at the index.
  if now <= tonumber(session.used) then
    redis.call('HSET', key, counter, count, ...)
    return count
  end
  redis.call('HSET', key, counter, count, 'used', now, ...)
  redis.call('ZADD', index.ids, '0', ids_member(session.id, handle))
  redis.call('ZADD', index.users, 'GT', now, session.id)
  redis.call('ZADD', index.recent, now, handle)
  redis.call('ZADD', index.expiry, session.ends or now + session.ttl, expiry_member(handle, session.id))
  if not session.ends then
    redis.call('EXPIRE', key, session.ttl + LINGER)
  end
  return count
end

-- Removes sessions from the index, given their `handles` and the ids of their users (`owners`). Also removes the users
-- who then have no session.
-- All reads come before the first write, and each key is written once. While a slot moves to another node of a cluster,
-- a key that lost its last member is gone, and a script that uses it again is aborted.
local function remove_from_index(index, handles, owners)
  local ids_members, expiry_members, is_removed, counts = {}, {}, {}, {}
  for i, handle in ipairs(handles) do
    local id = owners[i]
    ids_members[i] = ids_member(id, handle)
    expiry_members[i] = expiry_member(handle, id)
    is_removed[ids_members[i]] = true
    counts[id] = (counts[id] or 0) + 1
  end
  local without_session = {}
  for id, count in pairs(counts) do
    local has_another = false
    local first, last = user_range(id)
    -- If the user has a session that stays, it is among the first count + 1.
    for _, member in ipairs(redis.call('ZRANGEBYLEX', index.ids, first, last, 'LIMIT', 0, count + 1)) do
      has_another = has_another or not is_removed[member]
    end
    if not has_another then
      without_session[#without_session + 1] = id
    end
  end
  redis.call('ZREM', index.ids, unpack(ids_members))
  redis.call('ZREM', index.recent, unpack(handles))
  redis.call('ZREM', index.expiry, unpack(expiry_members))
  if without_session[1] then
    redis.call('ZREM', index.users, unpack(without_session))
  end
end
