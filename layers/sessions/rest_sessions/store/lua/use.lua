-- Records the uses of a session.
-- include: record.lua
-- include: session.lua
-- include: index.lua

-- Records one use of a live session: writes `changes`, a list of fields and values, and restores lost index entries.
-- Starts the idle timeout again, with the new `ttl` if that is not ''. `status` tells with which token it is used.
-- Changes the table to the state after this use, but for `used`.
local function use_session(keys, key, session, status, now, ttl, changes)
  if status == 'OK' and session.nonce then
    if not session.grace_ends then
      changes[#changes + 1], changes[#changes + 2] = 'grace_ends', string.format('%d', now + (session.grace or 0))
    elseif has_passed(session.grace_ends, now) then
      -- The hash of the old token stays: who still comes with it may be a thief.
      redis.call('HDEL', key, 'nonce', 'grace')
    end
  end
  if ttl ~= '' then
    session.ttl = ttl
    changes[#changes + 1], changes[#changes + 2] = 'ttl', ttl
    if session.no_resave then
      session.ends = string.format('%d', now + ttl)
      changes[#changes + 1], changes[#changes + 2] = 'ends', session.ends
    end
  end
  -- The time of last use never goes back, although the clocks of the callers differ a little. A second use within the
  -- same second changes no time, and does not look at the index.
  local used = session.used
  local is_later = has_passed(used, now)
  if is_later then
    used = now
    changes[#changes + 1], changes[#changes + 2] = 'used', now
  end
  if changes[1] then
    redis.call('HSET', key, unpack(changes))
  end
  if is_later or ttl ~= '' then
    local expires = expires_at(session, used)
    add_to_index(keys, handle_of(key), session.id, used, expires)
    if ttl ~= '' or not session.no_resave then
      redis.call('EXPIRE', key, expires - now + LINGER)
    end
  elseif not changes[1] then
    unchanged(keys)
  end
end
