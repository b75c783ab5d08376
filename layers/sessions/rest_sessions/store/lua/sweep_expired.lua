-- Looks again at sessions of one partition, removes those that have expired, and corrects the entries of the others.
-- Also removes what a login closed and what is no longer kept.
-- include: record.lua
-- include: session.lua
-- include: state.lua
-- include: index.lua
-- include: ending.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the member of each session in `expiry`
-- Returns     how many sessions had expired
local index, now = index_of(KEYS), tonumber(ARGV[1])
local expired = 0
local handles, owners, is_reused, is_removed, corrections = {}, {}, {}, {}, {}
for i = 2, #ARGV do
  local key = KEYS[i + 3]
  local owner, handle = split_expiry_member(ARGV[i])
  local session = read_state(key)
  if session.id == owner and is_session(session) and now <= kept_until(session) then
    corrections[#corrections + 1] = kept_until(session)
    corrections[#corrections + 1] = ARGV[i]
  else
    owners[#owners + 1], handles[#handles + 1] = owner, handle
    if is_of_another(session, owner) then
      is_reused[handle] = is_session(session) and not is_removed[handle]
    else
      if not session.closed then
        expired = expired + 1
      end
      is_removed[handle], is_reused[handle] = true, nil
      remove_hash(key, session, now)
    end
  end
end
-- The entry of a live session had a wrong expiry time, and would be found again and again.
if corrections[1] then
  redis.call('ZADD', index.expiry, unpack(corrections))
end
if handles[1] then
  remove_from_index(index, handles, owners, is_reused)
end
return expired
