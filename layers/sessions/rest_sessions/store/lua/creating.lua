-- Makes sessions.
-- include: record.lua
-- include: session.lua
-- include: index.lua

-- Makes a session that expires in so many `seconds`, and its epoch if the partition has none. `write`, if it
-- is given, writes the hash in place of HSET. The last arguments are further fields and values. Returns the error if the
-- Redis user may not run EXPIRE.
local function make_session(keys, epoch, token, now, id, ip, ttl, seconds, write, ...)
  local key, handle = keys[6], handle_of(keys[6])
  if not epoch then
    -- A caller's own token may have had its handle before, but not at this time.
    epoch = handle:sub(1, 4) .. string.format('%x', now)
    redis.call('SET', keys[1], epoch)
  end
  -- The Redis user may lack the right to one of these commands, and Redis undoes nothing. So no hash stays without an
  -- entry for the sweep, or without an expiry.
  add_to_index(keys, handle, id, now, now + seconds)
  local fields = {
    'id', id, 'ip', ip, 'r', '1', 'w', '1', 'ttl', ttl, 'used', now, 'created', now, 'token', token, 'epoch', epoch, ...,
  }
  if write then
    write(key, fields)
  else
    redis.call('HSET', key, unpack(fields))
  end
  local expire = redis.pcall('EXPIRE', key, seconds + LINGER)
  if type(expire) == 'table' then
    redis.call('UNLINK', key)
    return expire
  end
end
