-- Looks again at sessions of one partition, removes those that have expired, and corrects the entries of the others.
-- Also removes what a login closed and what is no longer kept.
-- include: record.lua
-- include: session.lua
-- include: state.lua
-- include: ending.lua
--
-- KEYS[1..6]  epoch, ids, users, recent, expiry, closed
-- KEYS[7..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2]     1 if the members are those of `closed`, 0 if they are those of `expiry`
-- ARGV[3..*]  the member of each session there
-- Returns     how many sessions had expired
local now, place = ARGV[1], ARGV[2] == '1' and KEYS[6] or KEYS[5]
local epoch, batch, expired, corrections = redis.call('GET', KEYS[1]), new_batch(), 0, {}
for i = 3, #ARGV do
  local key = KEYS[i + 4]
  local owner, handle = split_expiry_member(ARGV[i])
  local session = read_state(key, epoch)
  if session.id == owner and is_kept(session, now) then
    corrections[#corrections + 1], corrections[#corrections + 2] = kept_until(session), ARGV[i]
  elseif add_to_batch(batch, key, handle, owner, session, now) and place == KEYS[5] and not session.closed then
    expired = expired + 1
  end
end
end_batch(KEYS, batch)
-- The entry of a session that is kept had a wrong time, and would be found again and again.
if corrections[1] then
  redis.call('ZADD', place, unpack(corrections))
end
return expired
