-- Reads sessions of one partition without using them, as many as fit.
-- include: session.lua
--
-- KEYS[1]     epoch
-- KEYS[2..*]  the sessions
-- ARGV[1]     the bytes after which to stop; each text counts as its length plus OVERHEAD_PER_TEXT
-- Returns     the epoch or nil, then for each session that was read, in the order of KEYS, its fields and values, or {}
--             for none; at least one session is read
local epoch, most_bytes = redis.call('GETEX', KEYS[1]), tonumber(ARGV[1])
-- Bytes. Even the shortest text costs time, because it is made twice: in this script and in the reply.
local OVERHEAD_PER_TEXT = 32

local reply, bytes = { epoch }, 0
for i = 2, #KEYS do
  reply[i] = read_hash('HGETALL', KEYS[i])
  for _, text in ipairs(reply[i]) do
    bytes = bytes + #text + OVERHEAD_PER_TEXT
  end
  if bytes > most_bytes then
    break
  end
end
return reply
