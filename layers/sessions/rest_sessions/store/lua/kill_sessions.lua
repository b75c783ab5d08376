-- Kills sessions of one partition. A session whose hash is already gone is only removed from the index.
-- include: record.lua
-- include: state.lua
-- include: ending.lua
--
-- KEYS[1..6]  epoch, ids, users, recent, expiry, closed
-- KEYS[7..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the member of each session in `ids`
-- Returns     how many were alive
local now = ARGV[1]
local epoch, batch, killed = redis.call('GET', KEYS[1]), new_batch(), 0
for i = 2, #ARGV do
  local key = KEYS[i + 5]
  local owner, handle = split_ids_member(ARGV[i])
  local session = read_state(key, epoch)
  if add_to_batch(batch, key, handle, owner, session, now) and is_kept(session, now) and not session.closed then
    killed = killed + 1
  end
end
end_batch(KEYS, batch)
return killed
