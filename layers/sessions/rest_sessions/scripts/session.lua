-- What a session is, and when it is alive. For scripts that say `-- include: session.lua`.
-- A call of Redis takes longer than most of them take by themselves, and a number longer than its text: these scripts
-- make few calls and pass texts on as they came.
local HANDLE_LENGTH = 32

-- A session's hash as a table, and as the list of fields and values that it was made from; nil when there is none.
local function read_session(key)
  local fields = redis.call('HGETALL', key)
  local session = {}
  for i = 1, #fields, 2 do
    session[fields[i]] = fields[i + 1]
  end
  return session.id and session, fields
end

-- That part of the table that tells of life and death, however large the data.
local function read_times(key)
  local f = redis.call('HMGET', key, 'id', 'ttl', 'used', 'ends')
  return f[1] and { id = f[1], ttl = f[2], used = f[3], ends = f[4] }
end

local function is_alive(session, now)
  return session and now <= (tonumber(session.ends) or session.used + session.ttl)
end
