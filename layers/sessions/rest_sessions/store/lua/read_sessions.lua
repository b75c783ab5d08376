-- Reads sessions of one partition without using them, as many as fit.
-- include: session.lua
--
-- KEYS[1..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2]     the bytes after which to stop; each text counts as its length plus OVERHEAD_PER_TEXT
-- ARGV[3]     the id of the user whose sessions they are, or '' for sessions of any
-- Returns     for each session that was read, in the order of KEYS, its fields and values, or {} when it is not alive or
--             another's; at least one session is read
local now, most_bytes, id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
-- Bytes. Even the shortest text costs time, because it is made twice: in this script and in the reply.
local OVERHEAD_PER_TEXT = 32

local sessions, bytes = {}, 0
for i, key in ipairs(KEYS) do
  local session, fields = read_session(key)
  sessions[i] = is_alive(session, now) and (id == '' or session.id == id) and fields or {}
  for _, text in ipairs(sessions[i]) do
    bytes = bytes + #text + OVERHEAD_PER_TEXT
  end
  if bytes > most_bytes then
    break
  end
end
return sessions
