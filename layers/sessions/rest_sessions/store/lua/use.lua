-- Records the uses of a session.
-- include: session.lua
-- include: index.lua

-- Records one use of a live session: writes `changes`, a list of fields and values, and restores lost index entries.
-- Starts the idle timeout again, with the new `ttl` if that is not ''. `status` tells with which token it is used.
-- Changes the table to the state after this use, but for `used`.
local function use_session(index, key, handle, session, status, now, ttl, changes)
  local function write(field, number)
    session[field] = string.format('%d', number)
    changes[#changes + 1], changes[#changes + 2] = field, session[field]
  end
  if status == 'OK' and session.nonce then
    if not session.grace_ends then
      write('grace_ends', now + session.grace)
    elseif now > tonumber(session.grace_ends) then
      -- The hash of the old token stays: who still comes with it may be a thief.
      redis.call('HDEL', key, 'nonce', 'grace')
    end
  end
  if ttl ~= '' then
    write('ttl', ttl)
    if session.no_resave then
      write('ends', now + ttl)
    end
  end
  -- The time of last use never goes back, although the clocks of the callers differ a little. A second use within the
  -- same second changes no time, and does not look at the index.
  local used = math.max(session.used, now)
  local is_later = now > tonumber(session.used)
  if is_later then
    changes[#changes + 1], changes[#changes + 2] = 'used', now
  end
  if changes[1] then
    redis.call('HSET', key, unpack(changes))
  end
  if is_later or ttl ~= '' then
    local expires = expires_at({ used = used, ttl = session.ttl, ends = session.ends })
    add_to_index(index, handle, session.id, used, expires)
    if ttl ~= '' or not session.no_resave then
      redis.call('EXPIRE', key, expires - now + LINGER)
    end
  end
end

-- The next value of a counter, as text.
local function next_count(count)
  return string.format('%d', count + 1)
end
