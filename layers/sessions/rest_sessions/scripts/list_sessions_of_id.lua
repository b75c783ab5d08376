-- Finds sessions of one user and when each was last used.
--
-- KEYS[1]  ids
-- KEYS[2]  recent
-- ARGV[1]  id
-- ARGV[2]  the handle after which to start, empty for the first
-- ARGV[3]  how many to give at most
-- Returns  {handle, time of last use, handle, …} by handle
local ids, recent = KEYS[1], KEYS[2]
local id, after, count = ARGV[1], ARGV[2], ARGV[3]
local from = (after == '' and '[' or '(') .. id .. '\0' .. after
local handles = redis.call('ZRANGEBYLEX', ids, from, '(' .. id .. '\1', 'LIMIT', 0, count)
if not handles[1] then
  return {}
end
for i, member in ipairs(handles) do
  handles[i] = member:sub(#id + 2)
end
local found = {}
for i, used in ipairs(redis.call('ZMSCORE', recent, unpack(handles))) do
  found[2 * i - 1], found[2 * i] = handles[i], used
end
return found
