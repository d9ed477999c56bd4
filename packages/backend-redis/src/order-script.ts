/** How many entries a scope has at most whose keys are not kept in order. Redis keeps a hash of 128 fields compact, beside the entries it has up to eight. */
export const unorderedEntries = 64;

/** The fields of such a scope's hash at most, as far as the short ways need to know: up to six are the scope's own. */
export const mostUnordered = unorderedEntries + 6;

/**
 * The keys of a span in a scope without an order of its keys, in Lua. By their bytes: Lua compares text as the server's locale would.
 */
export const spanFunctions = `
local function is_below(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then return a < b end
  end
  return #one < #other
end
-- Keys and raw entries in turn, of each from one key on and below another.
local function span_of(key, from, to)
  local fields, found = redis.call('HGETALL', key), {}
  for i = 1, #fields, 2 do
    local name = fields[i]
    -- What is the scope's own begins with a quote, which no key has.
    if string.byte(name) ~= 34 and not is_below(name, from) and (to == '' or is_below(name, to)) then
      found[#found + 1] = name
      found[#found + 1] = fields[i + 1]
    end
  end
  return found
end
`;
