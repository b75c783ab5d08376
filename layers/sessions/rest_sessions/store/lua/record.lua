-- How sessions are stored: the forms of hash fields and of index members. store/record.py has the same forms in Python.
local HANDLE_LENGTH = 22

-- The handle in the key of a session.
local function handle_of(key)
  return key:sub(-HANDLE_LENGTH)
end

-- Whether a hash field holds a datum of the session.
local function is_datum(field)
  return field:byte(2) == 58 -- a colon
end

-- A member of `ids`. An anonymous session has the id ''.
local function ids_member(id, handle)
  return id .. '\0' .. handle
end

-- The id and the handle in a member of `ids`.
local function split_ids_member(member)
  return member:sub(1, -HANDLE_LENGTH - 2), member:sub(-HANDLE_LENGTH)
end

-- Whether a member of `ids` has the form that this program writes. Left by another, it must not count as a session.
local function is_ids_member(member, id)
  local handle = member:sub(-HANDLE_LENGTH)
  return member == ids_member(id, handle) and not handle:find('[^A-Za-z0-9]')
end

-- The lexical range of all members of `ids` of one user.
local function user_range(id)
  return '[' .. id .. '\0', '(' .. id .. '\1'
end

-- A member of `expiry`.
local function expiry_member(handle, id)
  return handle .. ':' .. id
end

-- The id and the handle in a member of `expiry`.
local function split_expiry_member(member)
  return member:sub(HANDLE_LENGTH + 2), member:sub(1, HANDLE_LENGTH)
end
