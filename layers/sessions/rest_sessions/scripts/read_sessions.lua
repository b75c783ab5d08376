-- Reads sessions of one partition without using them, as many as fit.
-- include: session.lua
--
-- KEYS[1..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2]     bytes after which to stop, with what making a text costs counted as bytes
-- Returns     for each session read, in the order of KEYS, its fields and values, none when it is not alive;
--             at least one session is read
local now, most_bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
-- However short a text is, it is made twice: in this script, and in the reply.
local BYTES_OF_A_TEXT = 32

local sessions, bytes = {}, 0
for i, key in ipairs(KEYS) do
  local session, fields = read_session(key)
  sessions[i] = is_alive(session, now) and fields or {}
  for _, text in ipairs(sessions[i]) do
    bytes = bytes + #text + BYTES_OF_A_TEXT
  end
  if bytes > most_bytes then
    break
  end
end
return sessions
