-- Writes data of a session, all of it or none, and counts the write.
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     now, seconds
-- ARGV[3]     the most data fields a session may have
-- ARGV[4]     the most bytes its data fields and values may have
-- ARGV[5]     n, how many arguments that follow are fields to write
-- ARGV[6..*]  n/2 pairs of field and value to write, then the fields to remove
-- Returns     the hash's fields and values as they stood before this write;
--             {number of fields, bytes} and no change when the data would be over a limit;
--             nil when no such session is alive
local key, handle, now = KEYS[5], ARGV[1], tonumber(ARGV[2])
local most_fields, most_bytes, n = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local FIRST = 6

local session, before = read_session(key)
if not is_alive(session, now) then
  return nil
end

local fields, bytes, replaced = 0, 0, {}
for i = FIRST, FIRST + n - 1, 2 do
  fields = fields + 1
  bytes = bytes + #ARGV[i] + #ARGV[i + 1]
  replaced[ARGV[i]] = true
end
for i = FIRST + n, #ARGV do
  replaced[ARGV[i]] = true
end
for i = 1, #before, 2 do
  local field = before[i]
  if not replaced[field] and field:sub(1, 2) == 'd:' then
    fields = fields + 1
    bytes = bytes + #field + #before[i + 1]
  end
end
if fields > most_fields or bytes > most_bytes then
  return { fields, bytes }
end

for i = FIRST + n, #ARGV do
  redis.call('HDEL', key, ARGV[i])
end
use_session(key, handle, session, 'w', now, unpack(ARGV, FIRST, FIRST + n - 1))
return before
