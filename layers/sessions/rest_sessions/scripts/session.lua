-- What a session is, and when it is alive. For scripts that say `-- include: session.lua`.
local HANDLE_LENGTH = 32

-- The counters and times of a session, or nil when there is none.
local function load_session(key)
  local f = redis.call('HMGET', key, 'id', 'r', 'w', 'ttl', 'used', 'ends')
  if not f[1] then
    return nil
  end
  return {
    id = f[1],
    r = tonumber(f[2]),
    w = tonumber(f[3]),
    ttl = tonumber(f[4]),
    used = tonumber(f[5]),
    ends = f[6] and tonumber(f[6]),
  }
end

local function is_alive(session, now)
  return session ~= nil and now <= (session.ends or session.used + session.ttl)
end
