-- Writes data of a session and counts the write, unless the data would be over a limit.
-- include: record.lua
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     now, seconds
-- ARGV[3]     the most data fields that a session may have
-- ARGV[4]     the most bytes that its data fields and values may have
-- ARGV[5]     n, the number of following arguments that are fields to write and their values
-- ARGV[6..*]  n/2 pairs of field and value to write, then the fields to remove
-- Returns     {OK, fields and values of the hash after this write, but `used` before it}, or {MISSING}, or
--             {TOO_LARGE, number of data fields, their bytes} when the data would be over a limit: nothing is changed
local key, handle, now = KEYS[5], ARGV[1], tonumber(ARGV[2])
local most_fields, most_bytes, n = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local FIRST = 6

local session, fields = read_session(key)
if not is_alive(session, now) then
  return { 'MISSING' }
end

local written, removed = {}, {}
for i = FIRST, FIRST + n - 1, 2 do
  written[ARGV[i]] = ARGV[i + 1]
end
for i = FIRST + n, #ARGV do
  removed[ARGV[i]] = true
end

-- Turns `fields` into the state after this write: first the fields that stay, in their order, then the new ones.
local last, place_of_w, data_fields, bytes = 0, 0, 0, 0
for i = 1, #fields, 2 do
  local field = fields[i]
  if not removed[field] then
    local value = written[field]
    if value then
      written[field] = nil
    else
      value = fields[i + 1]
    end
    fields[last + 1], fields[last + 2] = field, value
    last = last + 2
    if is_datum(field) then
      data_fields = data_fields + 1
      bytes = bytes + #field + #value
    elseif field == 'w' then
      place_of_w = last
    end
  end
end
for i = #fields, last + 1, -1 do
  fields[i] = nil
end
for i = FIRST, FIRST + n - 1, 2 do
  local field, value = ARGV[i], ARGV[i + 1]
  if written[field] then
    fields[last + 1], fields[last + 2] = field, value
    last = last + 2
    data_fields = data_fields + 1
    bytes = bytes + #field + #value
  end
end
if data_fields > most_fields or bytes > most_bytes then
  return { 'TOO_LARGE', data_fields, bytes }
end

if #ARGV >= FIRST + n then
  redis.call('HDEL', key, unpack(ARGV, FIRST + n))
end
fields[place_of_w] = use_session(index_of(KEYS), key, handle, session, 'w', now, unpack(ARGV, FIRST, FIRST + n - 1))
return { 'OK', fields }
