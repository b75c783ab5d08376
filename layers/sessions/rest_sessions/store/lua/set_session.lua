-- Writes data of a session and counts the write, unless the data would be over a limit or `w` is not as expected.
-- include: session.lua
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
-- ARGV[5]      the most data fields that a session may have
-- ARGV[6]      the most bytes that its data fields and values may have
-- ARGV[7]      n, the number of following arguments that are fields to write and their values
-- ARGV[8]      m, the number of arguments after these that are fields to remove
-- ARGV[9..*]   n/2 pairs of field and value to write, then m fields to remove; then, if `w` is expected to be something:
--              1: what it must be
--              2: a text that no other call has
--              3: 1 when this call may have run already, else 0
-- Returns      {OK or ROTATED, fields and values after this write, but `used` before it; of a field that comes twice
--              the second value counts}, or {ELSEWHERE, partition}, or {MISSING, STALE or CLOSED}; and when nothing is
--              changed, {CONFLICT, w}, {UNKNOWN} if it cannot be told whether this call has run already, or {TOO_LARGE,
--              number of data fields, their bytes}
local key, token, now, ttl, replaces = KEYS[6], ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local most_fields, most_bytes, n, m = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local FIRST = 9
local expected, call, is_resent = unpack(ARGV, FIRST + n + m)

local session, fields = read_session(key, redis.call('GET', KEYS[1]))
renew_pointer(key, session, token, now, ttl)
local status = status_of(session, token, now)
if not is_usable(status) then
  return unchanged(KEYS, { status, session.to })
end

local changes = {}
if expected then
  -- `cas` names the last write that expected a `w`, and the `w` that it made. Only one write can have made each `w`.
  local own = string.format('%d', expected + 1)
  local made, by = (session.cas or ''):match('^(%d+):(.*)$')
  if made == own and by == call then
    return unchanged(KEYS, { status, fields })
  end
  if session.w ~= expected then
    local may_have_run = is_resent == '1' and made and made - own > 0
    return unchanged(KEYS, may_have_run and { 'UNKNOWN' } or { 'CONFLICT', session.w })
  end
  changes = { 'cas', own .. ':' .. call }
end

local count, bytes, removed = write_data(fields, ARGV, FIRST, n, m, replaces)
if count - most_fields > 0 or bytes - most_bytes > 0 then
  return unchanged(KEYS, { 'TOO_LARGE', count, bytes })
end
if removed[1] then
  redis.call('HDEL', key, unpack(removed))
end
for i = FIRST, FIRST + n - 1 do
  changes[#changes + 1] = ARGV[i]
end
local w = string.format('%d', session.w + 1)
changes[#changes + 1], changes[#changes + 2] = 'w', w
use_session(KEYS, key, session, status, now, ttl, changes)
fields[#fields + 1], fields[#fields + 2] = 'w', w
if ttl ~= '' then
  fields[#fields + 1], fields[#fields + 2] = 'ttl', ttl
  if session.ends then
    fields[#fields + 1], fields[#fields + 2] = 'ends', session.ends
  end
end
return { status, fields }
