-- Finds sessions of one user, and when each was last used.
-- include: record.lua
--
-- KEYS[1]  ids
-- KEYS[2]  recent
-- ARGV[1]  id
-- ARGV[2]  the handle after which to start, empty for the first
-- ARGV[3]  the most sessions to return
-- Returns  {handle, time of last use, handle, …}, sorted by handle; the time is 1 if the index has lost it
local ids, recent = KEYS[1], KEYS[2]
local id, after, limit = ARGV[1], ARGV[2], ARGV[3]
local first, last = user_range(id)
if after ~= '' then
  first = '(' .. ids_member(id, after)
end
local handles = redis.call('ZRANGEBYLEX', ids, first, last, 'LIMIT', 0, limit)
if not handles[1] then
  return {}
end
-- All that follows the id, because the caller goes on after exactly this member, whatever it is.
local before_handle = #ids_member(id, '')
for i, member in ipairs(handles) do
  handles[i] = member:sub(before_handle + 1)
end
local found = {}
for i, last_used in ipairs(redis.call('ZMSCORE', recent, unpack(handles))) do
  found[2 * i - 1], found[2 * i] = handles[i], last_used or '1'
end
return found
