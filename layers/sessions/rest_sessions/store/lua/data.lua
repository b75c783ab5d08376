-- Merges data.
-- include: record.lua

-- The data among the `fields` of a hash after a write. From `args[first]` on come `n` arguments that are fields to write
-- and their values, then fields to remove; `replaces` removes all that are not written.
-- Returns a list of fields and values, first those that were there, in their order; the list of the fields to remove;
-- and the bytes of the former.
local function write_data(fields, args, first, n, replaces)
  local written, is_removed = {}, {}
  for i = first, first + n - 1, 2 do
    written[args[i]] = args[i + 1]
  end
  for i = first + n, #args do
    is_removed[args[i]] = true
  end
  local data, removed, bytes = {}, {}, 0
  local function add(field, value)
    data[#data + 1], data[#data + 2] = field, value
    bytes = bytes + #field + #value
  end
  for i = 1, #fields, 2 do
    local field = fields[i]
    if is_datum(field) then
      if written[field] then
        add(field, written[field])
        written[field] = nil
      elseif replaces or is_removed[field] then
        removed[#removed + 1] = field
      else
        add(field, fields[i + 1])
      end
    end
  end
  for i = first, first + n - 1, 2 do
    if written[args[i]] then
      add(args[i], args[i + 1])
    end
  end
  return data, removed, bytes
end
