-- Keeps pointers: hashes in the partition of a caller's own token that tell in which partition its session is.
-- include: session.lua

-- Starts the idle timeout of a pointer again, with the new `ttl` if that is not '' and longer, for a caller with its token.
-- The session itself is in another partition. So its use may fail, and the pointer must not end before it.
local function renew_pointer(key, pointer, token, now, ttl)
  if not is_pointer(pointer) or token ~= pointer.token or has_passed(expires_at(pointer), now) then
    return
  end
  local longest = math.max(pointer.ttl, tonumber(ttl) or 0)
  redis.call('HSET', key, 'used', math.max(pointer.used, now), 'ttl', longest)
  if pointer.no_resave and pointer.ends and ttl ~= '' then
    redis.call('HSET', key, 'ends', math.max(pointer.ends, now + ttl))
  end
  redis.call('EXPIRE', key, longest + POINTER_LINGER)
end
