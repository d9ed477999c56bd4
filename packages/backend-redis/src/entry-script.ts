/**
 * An entry as a field of its scope's hash, in Lua: its forms are told in {@link "./keys.js"}. `base` is the revision of the scope's first commit; a
 * scope that an older version began has none, and only the forms that need none.
 */
export const entryFunctions = `
-- Its revision, when it was created, and its deadline, 0 for none.
local function facts_of(raw, base)
  local form = byte(raw)
  if form > 57 then
    base = tonumber(base)
    return base, base, 0
  end
  if form < 48 then
    local since, born = match(raw, '^.(%x+),?(%x*)')
    local revision = base + tonumber(since, 16)
    if form == 43 then return revision, revision, 0 end
    return revision, base + (born == '' and 0 or tonumber(born, 16)), 0
  end
  local revision = tonumber(sub(raw, 1, 16))
  if byte(raw, 17) == 32 then return revision, revision, 0 end
  return revision, tonumber(sub(raw, 18, 33)), tonumber((match(raw, '^%d+', 34)))
end
local function raw_of(revision, created, expires, metadata, text, base)
  if expires > 0 or metadata ~= '' or not (base or created == revision) then
    return int(revision) .. '|' .. int(created) .. int(expires) .. ' ' .. #metadata .. ' ' .. metadata .. text
  end
  if not base then return int(revision) .. ' ' .. text end
  local since = fmt('%x', revision - base)
  if created == revision then return '+' .. since .. ' ' .. text end
  local born = created - base
  return '-' .. since .. (born > 0 and ',' .. fmt('%x', born) or '') .. ' ' .. text
end
`;
