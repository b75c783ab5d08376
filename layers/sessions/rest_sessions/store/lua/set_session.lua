-- Writes data of a session and counts the write, unless the data would be over a limit or `w` is not as expected.
-- include: session.lua
-- include: state.lua
-- include: data.lua
-- include: use.lua
-- include: pointer.lua
--
-- KEYS[1..5]   epoch, ids, users, recent, expiry
-- KEYS[6]      the session
-- ARGV[1]      hash of the token
-- ARGV[2]      now, seconds
-- ARGV[3]      the session's new ttl, seconds, or '' to keep it
-- ARGV[4]      1 to remove all data that are not written, else 0
-- ARGV[5]      what `w` must be, or '' for anything
-- ARGV[6]      a text that no other call has
-- ARGV[7]      1 when this call may have run already, else 0
-- ARGV[8]      the most data fields that a session may have
-- ARGV[9]      the most bytes that its data fields and values may have
-- ARGV[10]     n, the number of following arguments that are fields to write and their values
-- ARGV[11..*]  n/2 pairs of field and value to write, then the fields to remove
-- Returns      {OK or ROTATED, fields and values after this write, but `used` before it}, or {ELSEWHERE, partition}, or
--              {MISSING, STALE or CLOSED}; and when nothing is changed, {CONFLICT, w}, {UNKNOWN} if it cannot be told
--              whether this call has run already, or {TOO_LARGE, number of data fields, their bytes}
local key, token, now, ttl = KEYS[6], ARGV[1], ARGV[2], ARGV[3]
local replaces, expected, call, is_resent = ARGV[4] == '1', ARGV[5], ARGV[6], ARGV[7] == '1'
local most_fields, most_bytes, n = ARGV[8], ARGV[9], ARGV[10]
local FIRST = 11

local session, fields = read_session(key, read_epoch(KEYS[1]))
renew_pointer(key, session, token, now, ttl)
local status = status_of(session, token, now)
if not is_usable(status) then
  return { status, session.to }
end

local function answer(data)
  for _, text in ipairs(shown_fields(session)) do
    data[#data + 1] = text
  end
  return { status, data }
end

local changes = {}
if expected ~= '' then
  -- `cas` names the last write that expected a `w`, and the `w` that it made. Only one write can have made each `w`.
  local own = next_count(expected)
  local made, by = (session.cas or ''):match('^(%d+):(.*)$')
  if made == own and by == call then
    return answer((write_data(fields, {}, 1, 0, false)))
  end
  if session.w ~= expected then
    local may_have_run = is_resent and made and tonumber(made) > tonumber(own)
    return may_have_run and { 'UNKNOWN' } or { 'CONFLICT', session.w }
  end
  changes = { 'cas', own .. ':' .. call }
end

local data, removed, bytes = write_data(fields, ARGV, FIRST, n, replaces)
if is_too_large(data, bytes, most_fields, most_bytes) then
  return { 'TOO_LARGE', #data / 2, bytes }
end
if removed[1] then
  redis.call('HDEL', key, unpack(removed))
end
for i = FIRST, FIRST + n - 1 do
  changes[#changes + 1] = ARGV[i]
end
session.w = next_count(session.w)
changes[#changes + 1], changes[#changes + 2] = 'w', session.w
use_session(KEYS, key, session, status, now, ttl, changes)
return answer(data)
