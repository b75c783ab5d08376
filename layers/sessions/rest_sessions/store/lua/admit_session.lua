-- Creates a session, unless its token is in use or the user has too many sessions.
-- A retry changes nothing: it finds the session, or writes it for the first time.
-- include: record.lua
-- include: session.lua
-- include: state.lua
-- include: index.lua
-- include: creating.lua
-- include: ending.lua
--
-- KEYS[1..5]   epoch, ids, users, recent, expiry
-- KEYS[6]      the session
-- KEYS[7..*]   m other sessions of the user; then, if there is one, the session of the user that this login has closed
-- ARGV[1]      hash of the token
-- ARGV[2]      now, seconds
-- ARGV[3]      id, or '' for an anonymous session
-- ARGV[4]      ip
-- ARGV[5]      ttl, seconds
-- ARGV[6]      the seconds until it expires
-- ARGV[7]      digest of the create when the caller chose the token, else ''
-- ARGV[8]      the most live sessions that the user may have then, or 0 for any number
-- ARGV[9]      1 to refuse a session over that number, 0 to end those least recently used instead
-- ARGV[10]     the most sessions of the user that one call looks at
-- ARGV[11]     16 characters that no other call has, or '' without a login
-- ARGV[12]     m
-- ARGV[13..*]  further fields and values
-- Returns      {OK, 1 if it is the first session of its epoch, else 0, how many sessions were ended, 1 or, if the same
--              create made it before, 0}, or when nothing is changed, {TOKEN_IN_USE}, {TOO_MANY}, or {FULL, handle…}
--              when the user may have too many sessions: call again with all of these, or, if they are too many for one
--              call, end some first
local epoch, key, handle = redis.call('GET', KEYS[1]), KEYS[6], handle_of(KEYS[6])
local token, now, id, ip, ttl, seconds, claim, most, refuses, most_known, call, m = unpack(ARGV, 1, 12)
local FIRST_KEY = 6
local closed_key = KEYS[FIRST_KEY + m + 1]

-- All reads come before the first write.
local earlier, ended = {}, {}
if claim ~= '' or most ~= '0' then
  earlier = read_session(key, epoch)
  if is_alive(earlier, now) and (earlier.claim or '') == claim and not has_passed(earlier.created + REPEATABLE, now)
    and is_usable(fit_of(earlier, token, now)) then
    return unchanged(KEYS, { 'OK', 0, tonumber(earlier.capped) or 0, 0 })
  end
  if claim ~= '' and is_taken(earlier, now) then
    return unchanged(KEYS, { 'TOKEN_IN_USE' })
  end
end
if most ~= '0' then
  local known, unknown, all, live = {}, 0, {}, {}
  for i = FIRST_KEY + 1, FIRST_KEY + m do
    known[handle_of(KEYS[i])] = KEYS[i]
  end
  local first, last = user_range(id)
  for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], first, last, 'LIMIT', 0, most_known + 1)) do
    local _, other = split_ids_member(member)
    if other ~= handle and is_ids_member(member, id) then
      all[#all + 1] = other
      if known[other] then
        local session = read_state(known[other], epoch)
        -- One that another login has closed counts as long as that login may be refused and open it again.
        local counts = is_kept(session, now) and (not session.closed or may_be_reopened(session, call))
        if session.id == id and counts then
          session.handle, session.key, session.place = other, known[other], #live
          live[#live + 1] = session
        end
      else
        unknown = unknown + 1
      end
    end
  end
  local excess = unknown + #live - most + 1
  if excess > 0 and unknown > 0 then
    return unchanged(KEYS, { 'FULL', unpack(all) })
  end
  if excess > 0 and refuses == '1' then
    return unchanged(KEYS, { 'TOO_MANY' })
  end
  table.sort(live, function(a, b)
    local later = b.used - a.used
    return later > 0 or later == 0 and a.place < b.place
  end)
  for i = 1, excess do
    ended[i] = live[i]
  end
end
local is_closed_by_this = closed_key and read_state(closed_key, epoch).closed

local killed = 0
for _, session in ipairs(ended) do
  killed = killed + (session.closed and 0 or 1)
end
local fields = { unpack(ARGV, 13) }
local function add(field, value)
  fields[#fields + 1], fields[#fields + 2] = field, value
end
if claim ~= '' then
  add('claim', claim)
end
if killed > 0 then
  add('capped', killed)
end
local write = claim ~= '' and replace_hash or nil
local err = make_session(KEYS, epoch, token, now, id, ip, ttl, seconds, write, unpack(fields))
if err then
  return err
end

for _, session in ipairs(ended) do
  if session.closed then
    redis.call('HSET', session.key, 'closed_for_good', '1')
  else
    remove_hash(session.key, session, now)
    remove_from_index(KEYS, session.handle, id)
  end
end
if earlier.id and earlier.id ~= id then
  -- What is left of another user's session, which had this token before.
  remove_owner(KEYS, handle, earlier.id)
end
if is_closed_by_this then
  redis.call('HSET', closed_key, 'closed_for_good', '1')
end
return { 'OK', epoch and 0 or 1, killed, 1 }
