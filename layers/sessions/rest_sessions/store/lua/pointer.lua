-- Keeps pointers: hashes in the partition of a caller's own token that tell in which partition its session is.
-- include: session.lua

-- A pointer lives this many seconds longer than its session: until the longest grace of a rotation is over.
local POINTER_LINGER = 360

local function expire_pointer(key, ttl)
  redis.call('EXPIRE', key, ttl + POINTER_LINGER)
end

-- Starts the idle timeout of a pointer again, with the new `ttl` if that is not '' and longer. Changes nothing else.
-- The session itself is in another partition. So its use may fail, and the pointer must not end before it.
local function renew_pointer(key, pointer, now, ttl)
  if not pointer.to or now > expires_at(pointer) then
    return
  end
  local longest = math.max(pointer.ttl, tonumber(ttl) or 0)
  redis.call('HSET', key, 'used', math.max(pointer.used, now), 'ttl', longest)
  if pointer.no_resave and ttl ~= '' then
    redis.call('HSET', key, 'ends', math.max(pointer.ends, now + ttl))
  end
  expire_pointer(key, longest)
end
