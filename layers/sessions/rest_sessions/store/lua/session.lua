-- Reads a session and decides whether it is alive.
-- A call of Redis takes longer than the rest of most scripts, and converting a number takes longer than passing its
-- text on. So scripts make few calls and keep texts as they are.

-- Runs a command that reads the hash at `key`. A key of another type reads as no hash: one damaged key must not fail a
-- whole listing. Any other error is raised.
local function read_hash(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if not reply.err then
    return reply
  end
  -- fakeredis has no string there.
  if not tostring(reply.err):find('WRONGTYPE', 1, true) then
    redis.call(command, key, ...)
  end
  return {}
end

-- The hash as a table, or nil when there is none or it lost a field; and the list of fields and values that it was made
-- from.
local function read_session(key)
  local fields = read_hash('HGETALL', key)
  local session = {}
  for i = 1, #fields, 2 do
    session[fields[i]] = fields[i + 1]
  end
  local is_whole = session.id and session.ip and session.r and session.w and session.ttl and session.used
  return is_whole and session, fields
end

-- The part of the table that `is_alive` needs, which is small even when the session has much data; or nil.
local function read_times(key)
  local f = read_hash('HMGET', key, 'id', 'ttl', 'used', 'ends')
  return f[1] and f[2] and f[3] and { id = f[1], ttl = f[2], used = f[3], ends = f[4] }
end

-- Whether there is a session and its expiry time has not passed.
local function is_alive(session, now)
  return session and now <= (tonumber(session.ends) or session.used + session.ttl)
end
